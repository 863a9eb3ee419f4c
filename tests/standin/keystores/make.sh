#!/bin/sh
# Creates the keystores of the stand-in distributions with a JDK's keytool: JKS with the product's names, aliases and
# passwords, and a certificate for CN=localhost only. The results are committed, so that every build of a distribution has
# the same bytes; run this again only to change them. These keys are for tests only.
set -eu
cd "$(dirname "$0")"
for version in 4.5 4.6; do
    rm -f "wso2carbon-$version.jks" "client-truststore-$version.jks"
    keytool -genkeypair -alias wso2carbon -keyalg RSA -keysize 2048 -sigalg SHA256withRSA -validity 36500 \
        -dname "CN=localhost, O=Stand-in $version, C=US" -ext SAN=dns:localhost \
        -ext KeyUsage=digitalSignature,keyEncipherment,dataEncipherment -ext ExtendedKeyUsage=serverAuth,clientAuth \
        -storetype JKS -keystore "wso2carbon-$version.jks" -storepass wso2carbon -keypass wso2carbon 2>/dev/null
    keytool -exportcert -alias wso2carbon -keystore "wso2carbon-$version.jks" -storepass wso2carbon -file default.crt 2>/dev/null
    for alias in wso2carbon gateway_certificate_alias; do
        keytool -importcert -noprompt -alias "$alias" -file default.crt -storetype JKS \
            -keystore "client-truststore-$version.jks" -storepass wso2carbon 2>/dev/null
    done
    # In place of the public authorities in the product's truststore.
    for authority in one two; do
        keytool -genkeypair -alias ca -keyalg RSA -keysize 2048 -validity 36500 -ext BasicConstraints:critical=ca:true \
            -dname "CN=Public authority $authority (stand-in)" -storetype JKS -keystore authority.jks -storepass changeit -keypass changeit 2>/dev/null
        keytool -exportcert -alias ca -keystore authority.jks -storepass changeit -file authority.crt 2>/dev/null
        keytool -importcert -noprompt -alias "public_authority_$authority" -file authority.crt -storetype JKS \
            -keystore "client-truststore-$version.jks" -storepass wso2carbon 2>/dev/null
        rm -f authority.jks authority.crt
    done
    rm -f default.crt
done
