-- Databases and accounts of the test clusters, as in the sample configurations of the distributed
-- deployment page. For tests only.
CREATE DATABASE IF NOT EXISTS apim_db CHARACTER SET latin1 COLLATE latin1_bin;
CREATE DATABASE IF NOT EXISTS shared_db CHARACTER SET latin1 COLLATE latin1_bin;
CREATE USER IF NOT EXISTS 'apimadmin'@'%' IDENTIFIED BY 'apimadmin';
CREATE USER IF NOT EXISTS 'sharedadmin'@'%' IDENTIFIED BY 'sharedadmin';
GRANT ALL PRIVILEGES ON apim_db.* TO 'apimadmin'@'%';
GRANT ALL PRIVILEGES ON shared_db.* TO 'sharedadmin'@'%';
