#!/usr/bin/env bash
# usage: install_test.sh BUILD COMPILER...
#
# Installs BUILD to a temporary folder and builds programs against it with what pkg-config says and
# nothing else: install/example.cc, which uses all that is installed, once with the shared library
# and once with the archive; and the example of the README, as the README builds it.
set -euo pipefail
build=$1
compiler=("${@:2}")
tests=$(dirname "${BASH_SOURCE[0]}")
source=$tests/install/example.cc

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
  [[ $said == "$(pkg-config --modversion "$package") engine! harness!" ]] || fail "$package: '$said'"

  needs_ours=$(readelf --dynamic "$example" | grep -c 'NEEDED.*libjack_engine\.so\.0' || true)
  case $package-$needs_ours in
    jack_engine-1 | jack_engine_static-0) ;;
    *) fail "$package: linked $needs_ours times with the shared library" ;;
  esac
done

# The test used to include nothing but version.h, so the README's example had never been compiled.
readme=$folder/hello
sed -n '/^```cpp$/,/^```$/ { /^```/d; p }' "$tests/../README.md" >"$readme.cc"
grep -q 'int main' "$readme.cc" || fail 'no C++ example in the README'
# shellcheck disable=SC2046
"${compiler[@]}" -std=c++20 "$readme.cc" $(pkg-config --cflags --libs jack_engine) -o "$readme"
said=$(cd "$folder" && "$readme")
[[ $said == 'Hello, Ada' ]] || fail "the README's example said '$said'"
