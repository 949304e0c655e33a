#!/bin/sh
# Writes mathjax/ beside this file: MathJax's TeX input, its HTML output and the fonts. Needs npm; a maintainer runs it, nobody else.
set -eu
version=3.2.2
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
tar -xzf "$(npm pack --silent "mathjax@$version")"
rm -rf "$here/mathjax"
mkdir -p "$here/mathjax/output/chtml/fonts"
cp package/LICENSE package/es5/tex-chtml.js "$here/mathjax/"
cp -r package/es5/output/chtml/fonts/woff-v2 "$here/mathjax/output/chtml/fonts/"
