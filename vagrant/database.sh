#!/bin/sh
# Installs MariaDB for the test cluster, with the databases and users of the inventory. For tests only;
# idempotent.
set -eu
if ! command -v mariadbd >/dev/null && ! [ -x /usr/sbin/mariadbd ] && ! [ -x /usr/libexec/mariadbd ]; then
  if command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -qy --no-install-recommends mariadb-server
  else
    dnf -qy install mariadb-server
  fi
fi
if [ -d /etc/mysql/mariadb.conf.d ]; then conf=/etc/mysql/mariadb.conf.d/99-apim.cnf; else conf=/etc/my.cnf.d/99-apim.cnf; fi
# Skip name lookup of clients: there is no DNS server.
printf '[mysqld]\nbind-address = 0.0.0.0\nskip-name-resolve\nmax_connections = 1000\n' >"$conf.new"
systemctl enable -q mariadb 2>/dev/null || systemctl enable mariadb
if ! cmp -s "$conf.new" "$conf"; then
  mv "$conf.new" "$conf"
  systemctl restart mariadb
else
  rm "$conf.new"
  systemctl start mariadb
fi
mariadb </tmp/apim-database.sql
rm -f /tmp/apim-database.sql
