#!/usr/bin/env bash
# Makes d3.js and its licence from the versions pinned in package.json. Needs Node; nothing else in the course does.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/d3.entry.js" "$work"
cd "$work"
npm install --silent --no-audit --no-fund
npx esbuild d3.entry.js --bundle --minify --format=esm --target=es2020 --legal-comments=none --outfile=d3.js
{
  echo "// d3, the parts that d3.entry.js lists. Copyright Mike Bostock, ISC licence: see LICENSE-d3. Made by build.sh; do not edit."
  cat d3.js
} > "$here/d3.js"
cp node_modules/d3-contour/LICENSE "$here/LICENSE-d3"
