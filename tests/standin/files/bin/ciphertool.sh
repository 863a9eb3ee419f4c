#!/bin/sh
# Encrypts the [plain] values of [secrets] in deployment.toml with the key of the keystore. Like the tool of the
# product, it truncates the file if other text follows [secrets].
if [ -z "$CARBON_HOME" ]; then
    CARBON_HOME=$(cd "$(dirname "$0")/.." && pwd)
fi
if [ -z "$JAVA_HOME" ] || [ ! -x "$JAVA_HOME/bin/java" ]; then
    echo "Error: JAVA_HOME is not defined correctly."
    echo " CARBON cannot execute ${JAVA_HOME:+$JAVA_HOME/bin/}java"
    exit 1
fi
exec "$CARBON_HOME/lib/stand-in/java" -Dcarbon.home="$CARBON_HOME" org.wso2.ciphertool.CipherTool "$@"
