#!/bin/bash
# Profile optimisation of a stand-in distribution: the effects, texts and exit code of the product's script, without its
# code. It has the same pitfalls: the profile must be exactly the first argument, the exit code is always 0, and a second
# run overwrites the backups of the first one.

here=$(pwd)
cd "$(dirname "$0")" || exit 0

conf=../repository/conf
templates=../repository/resources/conf/templates/repository
profiles=../repository/resources/conf/deployment-templates
webapps=../repository/deployment/server/webapps
inbound=deployment/server/synapse-configs/default/inbound-endpoints

say() {
    echo "[$(date '+%Y-%m-%d %H:%M:%S')] INFO - $*"
}
drop() {
    if [ -e "$1" ]; then
        rm -r "$1"
        say "Removed $1"
    fi
}
swap() {
    if [ -e "$1" ] && [ -e "$2" ]; then
        mv "$1" "$1.backup"
        say "Renamed $1 to $1.backup"
        cp "$2" "$1"
        say "Copied $2 to $1"
    fi
}

skip=
for word in "$@"; do
    case $word in
        skipConfigOptimization | -skipConfigOptimization | --skipConfigOptimization)
            skip=yes
            say "Passed 'skipConfigOptimization': deployment.toml is not changed"
            ;;
    esac
done

if [ "$1" != "-Dprofile=key-manager" ]; then
    echo "Profile is not specified properly, please try again"
    cd "$here" || exit 0
    exit 0
fi

say "Starting to optimize API Manager for the Key Manager profile"
drop "$conf/axis2/axis2_blocking_client.xml"
drop "$templates/conf/axis2/axis2_blocking_client.xml.j2"
swap "$templates/conf/axis2/axis2.xml.j2" "$templates/conf/axis2/axis2_KM.xml.j2"
swap "$templates/conf/axis2/tenant-axis2.xml.j2" "$templates/conf/axis2/tenant-axis2_KM.xml.j2"
for endpoint in WebSocketInboundEndpoint SecureWebSocketInboundEndpoint; do
    drop "../repository/$inbound/$endpoint.xml"
    drop "$templates/$inbound/$endpoint.xml.j2"
done
if [ -z "$skip" ]; then
    say "Starting to optimize configs in deployment.toml"
    swap "$conf/deployment.toml" "$profiles/key-manager.toml"
fi
for app in "$webapps"/*; do
    case $(basename "$app") in
        authenticationendpoint | accountrecoveryendpoint | oauth2.war | keymanager-operations.war) ;;
        'api#identity#consent-mgt#v'*.war | 'api#identity#recovery#v'*.war | 'api#identity#user#v'*.war) ;;
        'api#identity#oauth2#dcr#v'*.war | 'api#identity#oauth2#v'*.war) ;;
        *) drop "$app" ;;
    esac
done

echo "Finished the optimizations"
cd "$here" || exit 0
exit 0
