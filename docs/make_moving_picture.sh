#!/usr/bin/env bash
# Make docs/images/moving.webp: six rendered clips, at their own pace and in step. Run it from the repository's root; it
# needs ffmpeg. Takes about a minute.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tpl=$PWD/.venv/bin/tpl
images=$PWD/docs/images
cd "$work"
"$tpl" render out=clips.h5 num_clips=40 seed=3
"$tpl" fit data.cache=clips.h5 method=direct select=none run.name=moving run.wandb=disabled
"$tpl" sync runs/moving clips/deadlift/deadlift_00{0,3,4,5,6,7}.mp4 out=moving.mp4 columns=6 height=150 fps=12
ffmpeg -y -v error -i moving.mp4 -vf scale=900:-2:flags=lanczos -c:v libwebp -quality 45 -compression_level 6 \
  -loop 0 -an "$images/moving.webp"
