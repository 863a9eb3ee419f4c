#!/bin/sh
# Prints the version, which is all that the start script needs of a JDK.
echo 'openjdk version "21.0.0" 2023-09-19 LTS' >&2
echo 'OpenJDK Runtime Environment Stand-In-21.0.0 (build 21.0.0+35-LTS)' >&2
echo 'OpenJDK 64-Bit Server VM Stand-In-21.0.0 (build 21.0.0+35-LTS, mixed mode, sharing)' >&2
