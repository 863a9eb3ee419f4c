#!/bin/sh
# Start script of a stand-in distribution: the verbs, texts and exit codes of the product's script, without its code.
# It has the same pitfalls: exit code 0 nearly everywhere, `start` prints nothing, `stop` does not wait, `restart` waits
# without a limit, JAVA_HOME is needed even to stop, and CARBON_HOME in the environment overrides the script's location.

self=$0
while [ -h "$self" ]; do
    target=$(readlink "$self")
    case $target in
        /*) self=$target ;;
        *) self=$(dirname "$self")/$target ;;
    esac
done
if [ -z "$CARBON_HOME" ]; then
    CARBON_HOME=$(cd "$(dirname "$self")/.." && pwd)
fi

if [ -z "$JAVACMD" ]; then
    if [ -n "$JAVA_HOME" ]; then JAVACMD=$JAVA_HOME/bin/java; else JAVACMD=java; fi
fi
if [ ! -x "$JAVACMD" ]; then
    echo "Error: JAVA_HOME is not defined correctly."
    echo " CARBON cannot execute $JAVACMD"
    exit 1
fi
if [ -z "$JAVA_HOME" ]; then
    echo "You must set the JAVA_HOME variable before running CARBON."
    exit 1
fi

pid_file=$CARBON_HOME/wso2carbon.pid
verb=run
port=
rest=
for word in "$@"; do
    if [ "$verb" = debug ] && [ -z "$port" ]; then
        port=$word
        continue
    fi
    case $word in
        debug | -debug | --debug) verb=debug ;;
        stop | -stop | --stop) verb=stop ;;
        start | -start | --start) verb=start ;;
        restart | -restart | --restart) verb=restart ;;
        version | -version | --version) verb=version ;;
        test | -test | --test) verb=test ;;
@OPTIMIZE_VERB@        *) rest="$rest $word" ;;
    esac
done

in_background() {
    export CARBON_HOME
    nohup sh "$CARBON_HOME/bin/@SCRIPT@" $rest >/dev/null 2>&1 &
    exit 0
}

@OPTIMIZE_STEP@case $verb in
    debug)
        if [ -z "$port" ]; then
            echo " Please specify the debug port after the --debug option"
            exit 1
        fi
        JAVA_OPTS="-Xrunjdwp:transport=dt_socket,server=y,suspend=y,address=$port"
        echo "Please start the remote debugging client to continue..."
        ;;
    start)
        if [ -e "$pid_file" ] && ps -p "$(cat "$pid_file")" >/dev/null; then
            echo "Process is already running"
            exit 0
        fi
        in_background
        ;;
    stop)
        kill -TERM "$(cat "$pid_file")"
        exit 0
        ;;
    restart)
        pid=$(cat "$pid_file")
        kill -TERM "$pid"
        sleep 1
        while ps -p "$pid" >/dev/null 2>&1; do
            sleep 1
        done
        in_background
        ;;
    version)
        cat "$CARBON_HOME/bin/version.txt" "$CARBON_HOME/bin/wso2carbon-version.txt"
        exit 0
        ;;
esac

java_version=$("$JAVACMD" -version 2>&1 | awk -F '"' '/version/ {print $2}')
java_number=$(echo "$java_version" | awk -F. '{printf("%02d%02d", $1, $2)}')
if [ "$java_number" -lt 1100 ] || [ "$java_number" -gt 2100 ]; then
    echo " Starting WSO2 Carbon (in unsupported JDK)"
    echo " [ERROR] CARBON is supported only between JDK 11 and JDK 21"
fi

echo "JAVA_HOME environment variable is set to $JAVA_HOME"
echo "CARBON_HOME environment variable is set to $CARBON_HOME"
cd "$CARBON_HOME" || exit 1
if [ -d tmp ]; then
    rm -rf tmp/*
fi
if [ -z "$JVM_MEM_OPTS" ]; then
    JVM_MEM_OPTS="-Xms256m -Xmx1024m"
fi
echo "Using Java memory options: $JVM_MEM_OPTS"

serve() {
    $before "$CARBON_HOME/lib/stand-in/java" \
        $JVM_MEM_OPTS \
        -XX:+HeapDumpOnOutOfMemoryError \
        -XX:HeapDumpPath="$CARBON_HOME/repository/logs/heap-dump.hprof" \
        $JAVA_OPTS \
        -Dcom.sun.management.jmxremote \
        -classpath "$CARBON_HOME/bin/*" \
        -Djava.io.tmpdir="$CARBON_HOME/tmp" \
        -Djava.command="$JAVACMD" \
        -Djava.version="$java_version" \
        -Djava.home="$JAVA_HOME" \
        -Dcarbon.home="$CARBON_HOME" \
        -Dcarbon.config.dir.path="$CARBON_HOME/repository/conf" \
        -Dfile.encoding=UTF8 \
        -Djava.net.preferIPv4Stack=true \
        -Dhttpclient.hostnameVerifier=AllowAll \
        org.wso2.carbon.bootstrap.Bootstrap $arguments
}
arguments=$*
before=
if [ "$verb" = test ]; then
    before=exec
    serve
fi

"$CARBON_HOME/diagnostics-tool/bin/diagnostics.sh" &
diagnostics=$!
end_diagnostics() {
    kill "$diagnostics"
}
trap end_diagnostics EXIT INT

status=121
while [ "$status" = 121 ]; do
    serve
    status=$?
done
