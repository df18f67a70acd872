BEGIN TRANSACTION;
CREATE TABLE affected_cpe_handles(
  id INT,
  vulnerability_id INT,
  cpe_id INT
);
INSERT INTO "affected_cpe_handles" VALUES(1,23,1);
INSERT INTO "affected_cpe_handles" VALUES(2,24,2);
CREATE TABLE affected_package_handles(
  id INT,
  vulnerability_id INT,
  operating_system_id INT,
  package_id INT
);
INSERT INTO "affected_package_handles" VALUES(1,8,1,1);
INSERT INTO "affected_package_handles" VALUES(2,9,1,2);
INSERT INTO "affected_package_handles" VALUES(3,10,1,3);
INSERT INTO "affected_package_handles" VALUES(4,11,1,4);
INSERT INTO "affected_package_handles" VALUES(5,12,1,5);
INSERT INTO "affected_package_handles" VALUES(6,13,1,6);
INSERT INTO "affected_package_handles" VALUES(7,14,1,7);
INSERT INTO "affected_package_handles" VALUES(8,15,1,8);
INSERT INTO "affected_package_handles" VALUES(9,16,2,9);
INSERT INTO "affected_package_handles" VALUES(10,17,3,10);
INSERT INTO "affected_package_handles" VALUES(11,18,4,11);
INSERT INTO "affected_package_handles" VALUES(12,19,4,12);
INSERT INTO "affected_package_handles" VALUES(13,20,4,13);
INSERT INTO "affected_package_handles" VALUES(14,21,NULL,14);
INSERT INTO "affected_package_handles" VALUES(15,22,NULL,15);
CREATE TABLE db_metadata(
  build_timestamp NUM,
  model INT,
  revision INT,
  addition INT
);
INSERT INTO "db_metadata" VALUES('2026-11-25 06:00:00+00:00',6,1,10);
CREATE TABLE operating_system_specifier_overrides(
  alias TEXT,
  version TEXT,
  version_pattern TEXT,
  codename TEXT,
  channel TEXT,
  replacement TEXT,
  replacement_major_version TEXT,
  replacement_minor_version TEXT,
  replacement_label_version TEXT,
  replacement_channel TEXT,
  rolling NUM,
  applicable_client_db_schemas TEXT
);
INSERT INTO "operating_system_specifier_overrides" VALUES('centos','','','','','rhel',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('rocky','','','','','rhel',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('rockylinux','','','','','rhel',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('alma','','','','','rhel',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('almalinux','','','','','rhel',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('scientific','','','','','rhel',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('sl','','','','','rhel',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('gentoo','','','','','rhel',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('raspbian','','','','','debian',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('rhel','','^\d+\.\d+','','',NULL,NULL,'',NULL,NULL,0,'< 6.0.3');
INSERT INTO "operating_system_specifier_overrides" VALUES('redhat','','^\d+\.\d+','','','rhel',NULL,'',NULL,NULL,0,'< 6.0.3');
INSERT INTO "operating_system_specifier_overrides" VALUES('hummingbird','','','','',NULL,NULL,NULL,NULL,NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('alpine','','.*_alpha.*','','',NULL,NULL,NULL,'edge',NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('wolfi','','','','',NULL,NULL,NULL,NULL,NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('chainguard','','','','',NULL,NULL,NULL,NULL,NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('secureos','','','','',NULL,NULL,NULL,NULL,NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('archlinux','','','','',NULL,NULL,NULL,NULL,NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('minimos','','','','',NULL,NULL,NULL,NULL,NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('arch','','','','','archlinux',NULL,NULL,NULL,NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('oracle','','','','','ol',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('oraclelinux','','','','','ol',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('amazon','','','','','amzn',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('amazonlinux','','','','','amzn',NULL,NULL,NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('echo','','','','',NULL,NULL,NULL,NULL,NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('debian','','','forky','',NULL,NULL,NULL,'unstable',NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','edge','','','','alpine',NULL,NULL,'edge',NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','','','edge','','alpine',NULL,NULL,'edge',NULL,1,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','25.12','','','','alpine','3','23',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','25.06','','','','alpine','3','22',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','24.12','','','','alpine','3','21',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','24.06','','','','alpine','3','20',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','23.12','','','','alpine','3','19',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','23.06','','','','alpine','3','18',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','22.12','','','','alpine','3','17',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','22.06','','','','alpine','3','16',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','21.12','','','','alpine','3','15',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','21.06','','','','alpine','3','14',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','21.03','','','','alpine','3','13',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','20.05','','','','alpine','3','12',NULL,NULL,0,'');
INSERT INTO "operating_system_specifier_overrides" VALUES('postmarketos','','^$','','','alpine',NULL,NULL,NULL,NULL,0,'');
CREATE TABLE operating_systems(
  id INT,
  name TEXT,
  release_id TEXT,
  major_version TEXT,
  minor_version TEXT,
  label_version TEXT,
  codename TEXT,
  channel TEXT,
  eol_date NUM,
  eoas_date NUM
);
INSERT INTO "operating_systems" VALUES(1,'debian','debian','12','','','bookworm','','2028-06-30 00:00:00+00:00','2026-06-10 00:00:00+00:00');
INSERT INTO "operating_systems" VALUES(2,'debian','debian','9','','','stretch','','2022-06-30 00:00:00+00:00',NULL);
INSERT INTO "operating_systems" VALUES(3,'alpine','alpine','3','20','','','','2027-04-01 00:00:00+00:00',NULL);
INSERT INTO "operating_systems" VALUES(4,'redhat','rhel','9','','','plow','','2032-05-31 00:00:00+00:00',NULL);
CREATE TABLE package_specifier_overrides(
  ecosystem TEXT,
  replacement_ecosystem TEXT
);
INSERT INTO "package_specifier_overrides" VALUES('R','R-package');
INSERT INTO "package_specifier_overrides" VALUES('apkg','apk');
INSERT INTO "package_specifier_overrides" VALUES('cargo','rust-crate');
INSERT INTO "package_specifier_overrides" VALUES('cocoapods','pod');
INSERT INTO "package_specifier_overrides" VALUES('composer','php-composer');
INSERT INTO "package_specifier_overrides" VALUES('cran','R-package');
INSERT INTO "package_specifier_overrides" VALUES('dart','dart-pub');
INSERT INTO "package_specifier_overrides" VALUES('dotnet','dotnet');
INSERT INTO "package_specifier_overrides" VALUES('dpkg','deb');
INSERT INTO "package_specifier_overrides" VALUES('elixir','hex');
INSERT INTO "package_specifier_overrides" VALUES('erlang','hex');
INSERT INTO "package_specifier_overrides" VALUES('erlang-otp','hex');
INSERT INTO "package_specifier_overrides" VALUES('github','github-action');
INSERT INTO "package_specifier_overrides" VALUES('go','go-module');
INSERT INTO "package_specifier_overrides" VALUES('golang','go-module');
INSERT INTO "package_specifier_overrides" VALUES('haskell','hackage');
INSERT INTO "package_specifier_overrides" VALUES('java','java-archive');
INSERT INTO "package_specifier_overrides" VALUES('javascript','npm');
INSERT INTO "package_specifier_overrides" VALUES('jenkins-plugin','java-archive');
INSERT INTO "package_specifier_overrides" VALUES('kb','msrc-kb');
INSERT INTO "package_specifier_overrides" VALUES('lua','lua-rocks');
INSERT INTO "package_specifier_overrides" VALUES('luarocks','lua-rocks');
INSERT INTO "package_specifier_overrides" VALUES('maven','java-archive');
INSERT INTO "package_specifier_overrides" VALUES('nuget','dotnet');
INSERT INTO "package_specifier_overrides" VALUES('ocaml','opam');
INSERT INTO "package_specifier_overrides" VALUES('otp','erlang-otp');
INSERT INTO "package_specifier_overrides" VALUES('pacman','alpm');
INSERT INTO "package_specifier_overrides" VALUES('pear','php-pear');
INSERT INTO "package_specifier_overrides" VALUES('pear','php-pecl');
INSERT INTO "package_specifier_overrides" VALUES('pecl','php-pecl');
INSERT INTO "package_specifier_overrides" VALUES('php','php-composer');
INSERT INTO "package_specifier_overrides" VALUES('pub','dart-pub');
INSERT INTO "package_specifier_overrides" VALUES('pypi','python');
INSERT INTO "package_specifier_overrides" VALUES('python','python');
INSERT INTO "package_specifier_overrides" VALUES('ruby','gem');
INSERT INTO "package_specifier_overrides" VALUES('rust','rust-crate');
INSERT INTO "package_specifier_overrides" VALUES('swift','swift');
INSERT INTO "package_specifier_overrides" VALUES('swipl','swiplpack');
CREATE TABLE packages(id INT,ecosystem TEXT,name TEXT);
INSERT INTO "packages" VALUES(1,'deb','expat');
INSERT INTO "packages" VALUES(2,'deb','zlib');
INSERT INTO "packages" VALUES(3,'deb','netbase');
INSERT INTO "packages" VALUES(4,'deb','glibc');
INSERT INTO "packages" VALUES(5,'deb','tar');
INSERT INTO "packages" VALUES(6,'deb','openssh');
INSERT INTO "packages" VALUES(7,'deb','bash');
INSERT INTO "packages" VALUES(8,'deb','linux');
INSERT INTO "packages" VALUES(9,'deb','libgcrypt20');
INSERT INTO "packages" VALUES(10,'apk','openssl');
INSERT INTO "packages" VALUES(11,'rpm','openssl');
INSERT INTO "packages" VALUES(12,'rpm','bash');
INSERT INTO "packages" VALUES(13,'rpm','nodejs');
INSERT INTO "packages" VALUES(14,'python','jinja2');
INSERT INTO "packages" VALUES(15,'npm','lodash');
CREATE TABLE providers(
  id TEXT,
  version TEXT,
  processor TEXT,
  date_captured NUM,
  input_digest TEXT
);
INSERT INTO "providers" VALUES('alpine','1','vunnel@0.54.0','2026-11-20 00:00:00+00:00','xxh64:0123456789abcdef');
INSERT INTO "providers" VALUES('debian','1','vunnel@0.54.0','2026-11-24 00:00:00+00:00','xxh64:0123456789abcdef');
INSERT INTO "providers" VALUES('github','1','vunnel@0.54.0','2026-11-24 00:00:00+00:00','xxh64:0123456789abcdef');
INSERT INTO "providers" VALUES('nvd','1','vunnel@0.54.0','2026-11-24 00:00:00+00:00','xxh64:0123456789abcdef');
INSERT INTO "providers" VALUES('rhel','1','vunnel@0.54.0','2026-11-24 00:00:00+00:00','xxh64:0123456789abcdef');
CREATE TABLE vulnerability_handles(
  id INT,
  name TEXT,
  provider_id TEXT
);
INSERT INTO "vulnerability_handles" VALUES(1,'CVE-2024-45491','nvd');
INSERT INTO "vulnerability_handles" VALUES(2,'CVE-2023-45853','nvd');
INSERT INTO "vulnerability_handles" VALUES(3,'CVE-2026-5450','nvd');
INSERT INTO "vulnerability_handles" VALUES(4,'CVE-2024-5535','nvd');
INSERT INTO "vulnerability_handles" VALUES(5,'CVE-2023-0286','nvd');
INSERT INTO "vulnerability_handles" VALUES(6,'CVE-2024-34064','nvd');
INSERT INTO "vulnerability_handles" VALUES(7,'CVE-2023-30581','nvd');
INSERT INTO "vulnerability_handles" VALUES(8,'CVE-2024-45491','debian');
INSERT INTO "vulnerability_handles" VALUES(9,'CVE-2023-45853','debian');
INSERT INTO "vulnerability_handles" VALUES(10,'CVE-2099-1003','debian');
INSERT INTO "vulnerability_handles" VALUES(11,'CVE-2026-5450','debian');
INSERT INTO "vulnerability_handles" VALUES(12,'CVE-2005-2541','debian');
INSERT INTO "vulnerability_handles" VALUES(13,'CVE-2099-1001','debian');
INSERT INTO "vulnerability_handles" VALUES(14,'CVE-2099-1002','debian');
INSERT INTO "vulnerability_handles" VALUES(15,'CVE-2099-1004','debian');
INSERT INTO "vulnerability_handles" VALUES(16,'CVE-2021-33560','debian');
INSERT INTO "vulnerability_handles" VALUES(17,'CVE-2024-5535','alpine');
INSERT INTO "vulnerability_handles" VALUES(18,'CVE-2023-0286','rhel');
INSERT INTO "vulnerability_handles" VALUES(19,'CVE-2099-2001','rhel');
INSERT INTO "vulnerability_handles" VALUES(20,'CVE-2023-30581','rhel');
INSERT INTO "vulnerability_handles" VALUES(21,'GHSA-h75v-3vvj-5mfj','github');
INSERT INTO "vulnerability_handles" VALUES(22,'GHSA-29mw-wpgm-hmr9','github');
INSERT INTO "vulnerability_handles" VALUES(23,'CVE-2022-24735','nvd');
INSERT INTO "vulnerability_handles" VALUES(24,'CVE-2023-42363','nvd');
COMMIT;
