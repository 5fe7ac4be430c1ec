#!/usr/bin/env bash
# usage: install_test.sh BUILD COMPILER...
#
# Installs BUILD to a temporary folder and builds install/example.cc against it with what pkg-config
# says and nothing else: once with the shared library, once with the archive.
set -euo pipefail
build=$1
compiler=("${@:2}")
source=$(dirname "${BASH_SOURCE[0]}")/install/example.cc

fail() {
  echo "install_test: $*" >&2
  exit 1
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
meson install -C "$build" --no-rebuild --skip-subprojects --quiet --destdir "$folder"

description=$(find "$folder" -name jack_engine.pc)
prefix=$folder$(sed -n 's/^prefix=//p' "$description")
# The tree stands in the temporary folder and not where it was configured for.
sed -i "s|^prefix=.*|prefix=$prefix|" "$(dirname "$description")"/*.pc
PKG_CONFIG_PATH=$(dirname "$description")
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(pkg-config --variable=libdir jack_engine)
export LD_LIBRARY_PATH

[[ -x $prefix/bin/jack ]] || fail 'no program bin/jack'

for package in jack_engine jack_engine_static; do
  example=$folder/$package
  # Word by word, as a shell or a makefile would take them.
  # shellcheck disable=SC2046
  "${compiler[@]}" -std=c++20 -Wall -Wextra -Wpedantic -Werror "$source" -o "$example" \
    $(pkg-config --cflags --libs "$package")
  said=$(cd "$folder" && "$example")
  [[ $said == *$(pkg-config --modversion "$package")* ]] || fail "$package: no version in '$said'"

  needs_ours=$(readelf --dynamic "$example" | grep -c 'NEEDED.*libjack_engine\.so\.0' || true)
  case $package-$needs_ours in
    jack_engine-1 | jack_engine_static-0) ;;
    *) fail "$package: linked $needs_ours times with the shared library" ;;
  esac
done
