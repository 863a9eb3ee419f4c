#!/bin/sh
# The second process of every node. It uses JVM_MEM_OPTS, too, as in the product.
home=$(cd "$(dirname "$0")/.." && pwd)
cd "$home" || exit 1
exec ../lib/stand-in/java ${JVM_MEM_OPTS:--Xms32m -Xmx128m} -Dapp.home="$home" org.wso2.diagnostics.DiagnosticsApp
