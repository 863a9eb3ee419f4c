#!/bin/sh
# What a node needs beside apim-deploy: a Java runtime. The inventory names it as apim.java.home: /usr/lib/jvm/apim.
set -eu
if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -qy --no-install-recommends openjdk-17-jre-headless procps
else
  dnf -qy install java-17-openjdk-headless procps-ng
fi
java=$(readlink -f "$(command -v java)")
ln -sfn "${java%/bin/java}" /usr/lib/jvm/apim
