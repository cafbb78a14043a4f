#!/bin/bash
# Makes e2e/.venv with what the tests take from PyPI, and prints the path of the second, newer ffmpeg in it.
# Quick when it is there already and the list has not changed.
set -euo pipefail
cd "$(dirname "$0")"
venv=.venv
stamp=$venv/requirements.txt
if ! cmp -s requirements.txt "$stamp"; then
  echo "e2e: installing from PyPI: $(grep -v '^#' requirements.txt | tr '\n' ' ')" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
  cp requirements.txt "$stamp"
fi
"$venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())'
