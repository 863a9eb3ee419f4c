#!/bin/sh
# A MariaDB for the test cluster, with the databases and users that inventory/vagrant.yaml names. For tests only.
set -eu
if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -qy --no-install-recommends mariadb-server
  conf=/etc/mysql/mariadb.conf.d/99-apim.cnf
else
  dnf -qy install mariadb-server
  conf=/etc/my.cnf.d/99-apim.cnf
fi
printf '[mysqld]\nbind-address = 0.0.0.0\nmax_connections = 1000\n' >"$conf"
systemctl enable -q mariadb
systemctl restart mariadb
mysql <<'SQL'
CREATE DATABASE IF NOT EXISTS apim_db CHARACTER SET latin1 COLLATE latin1_bin;
CREATE DATABASE IF NOT EXISTS shared_db CHARACTER SET latin1 COLLATE latin1_bin;
CREATE USER IF NOT EXISTS 'apimadmin'@'%' IDENTIFIED BY 'apimadmin';
CREATE USER IF NOT EXISTS 'sharedadmin'@'%' IDENTIFIED BY 'sharedadmin';
GRANT ALL ON apim_db.* TO 'apimadmin'@'%';
GRANT ALL ON shared_db.* TO 'sharedadmin'@'%';
SQL
