#!/bin/sh
# Makes the database of this folder anew. Needs rpm, rpmbuild and sqlite3 (Debian: rpm, sqlite3).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

package() { # NAME EPOCH VERSION RELEASE VENDOR SUBPACKAGE MODULE; - stands for none
    {
        printf 'Name: %s\nVersion: %s\nRelease: %s\n' "$1" "$3" "$4"
        printf 'Summary: %s\nLicense: MIT\nVendor: %s\nBuildArch: noarch\n' "$1" "$5"
        [ "$2" = - ] || echo "Epoch: $2"
        [ "$7" = - ] || echo "ModularityLabel: $7"
        printf '%%description\n%s\n' "$1"
        if [ "$6" = - ]; then
            echo '%files'
        else
            printf '%%package -n %s\nSummary: %s\n' "$6" "$6"
            printf '%%description -n %s\n%s\n%%files -n %s\n' "$6" "$6" "$6"
        fi
    } > "$work/$1.spec"
    rpmbuild -bb --quiet --define "_topdir $work/build" --define '_buildhost fixture' "$work/$1.spec"
}

package redhat-release - 9.4 0.5.el9 'Red Hat, Inc.' - -
package setup - 2.13.7 10.el9 'Red Hat, Inc.' - -
package openssl 1 3.0.7 25.el9_3 'Red Hat, Inc.' openssl-libs -
package nodejs 1 18.19.0 1.module+el9.3.0+1 'Red Hat, Inc.' - nodejs:18:9030020231222:rhel9
package htop - 3.3.0 1.el9 'Fedora Project' - -
rpm --root "$work/root" --dbpath /db --define '_db_backend sqlite' --justdb --nodeps --noscripts \
    --ignorearch --install "$work"/build/RPMS/noarch/*.rpm
sqlite3 "$work/root/db/rpmdb.sqlite" 'PRAGMA journal_mode = delete' 'VACUUM'
gzip -9nc "$work/root/db/rpmdb.sqlite" > "$here/rhel-9.rpmdb.sqlite.gz"
