#!/bin/sh
# Makes demo/demo.flv, the clip that `stentor dev` plays as live/demo. The clip is committed; run this only to change it.
# Needs ffmpeg with libx264 and the DejaVu fonts.
#
# What the clip promises, and tests rely on:
#   - exactly 8 s, which is 240 pictures at 30 a second and 375 AAC frames of 1024 samples at 48 kHz: both tracks end
#     on a frame together, so the clip loops by adding 8000 ms to every timestamp, and never drifts;
#   - H.264 Constrained Baseline, 640x360, one slice a picture, a key frame each second, no B-frames;
#   - AAC-LC, stereo. At every whole second a beep of 1 kHz begins, the square at the lower left turns white for three
#     pictures, and the ball touches the ground: sound against picture can be measured by machine and seen by people.
# Everything that moves has a period that divides 8 s. Three rounds are encoded and the middle one is cut out, so that
# neither encoder's start nor end is heard or seen where the loop closes.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

round=8
rounds=3
total=$((round * rounds))
size=640x360
rate=30
mono='font=DejaVu Sans Mono'
sans='font=DejaVu Sans'

# Still parts, computed once: a dim sky, the ball, the hand of the clock.
ffmpeg -v error -y -f lavfi -i "color=black:s=$size,format=rgb24,geq=r='10+18*Y/H':g='22+34*Y/H':b='44+52*Y/H'" \
  -frames:v 1 "$work/sky.png"
ffmpeg -v error -y -f lavfi -i "color=black:s=64x64,format=rgba,geq=r='255':g='196-60*hypot(X-24,Y-22)/40':b='64':a='255*clip(31-hypot(X-31.5,Y-31.5),0,1)'" \
  -frames:v 1 "$work/ball.png"
ffmpeg -v error -y -f lavfi -i "color=black:s=120x120,format=rgba,geq=r='120':g='220':b='232':a='255*max(clip(2.5-abs(hypot(X-59.5,Y-59.5)-54),0,1),clip(4-abs(X-59.5),0,1)*between(Y,10,64))'" \
  -frames:v 1 "$work/clock.png"

# Round bars under the sky, the ground, and a square that flashes.
static="drawbox=x=0:y=300:w=640:h=60:color=0x101820:t=fill"
x=200
for colour in 0xC0C0C0 0xC0C000 0x00C0C0 0x00C000 0xC000C0 0xC00000 0x0000C0; do
  static="$static,drawbox=x=$x:y=316:w=54:h=28:color=$colour:t=fill"
  x=$((x + 60))
done
flash="drawbox=x=20:y=312:w=160:h=36:color=0x283440:t=fill,drawbox=x=20:y=312:w=160:h=36:color=white:t=fill:enable='lt(mod(n,$rate),3)'"
name="drawtext=$sans:text='Stentor':x=28:y=24:fontsize=34:fontcolor=white"
about="drawtext=$sans:text='demo stream':x=30:y=66:fontsize=18:fontcolor=0x9FB4C8"
clock="drawtext=$mono:text='%{eif\\:mod(floor(n/$rate)\\,$round)\\:d\\:2}\\:%{eif\\:mod(n\\,$rate)\\:d\\:2}':x=(w-tw)/2:y=40:fontsize=64:fontcolor=white:box=1:boxcolor=0x0A1420:boxborderw=10"

ffmpeg -v error -y \
  -framerate $rate -loop 1 -i "$work/sky.png" \
  -framerate $rate -loop 1 -i "$work/ball.png" \
  -framerate $rate -loop 1 -i "$work/clock.png" \
  -f lavfi -i "aevalsrc=exprs='0.05*sin(2*PI*220*t)+0.02*sin(2*PI*660*t)+0.5*lt(mod(t,1),0.08)*sin(PI*min(mod(t,1),0.08)/0.08)^0.5*sin(2*PI*1000*t)|0.05*sin(2*PI*330*t)+0.02*sin(2*PI*440*t)+0.5*lt(mod(t,1),0.08)*sin(PI*min(mod(t,1),0.08)/0.08)^0.5*sin(2*PI*1000*t)':s=48000:c=stereo" \
  -filter_complex "
    [0:v]$static,$flash,$name,$about,$clock[back];
    [2:v]rotate=a='2*PI*n/$rate':c=none:ow=iw:oh=ih[hand];
    [back][hand]overlay=x=496:y=20[timed];
    [timed][1:v]overlay=x='288-240*cos(2*PI*t/$round)':y='237-120*abs(sin(PI*t))':eval=frame,format=yuv420p[v]" \
  -map '[v]' -map 3:a -t $total -r $rate \
  -c:v libx264 -profile:v baseline -level:v 3.0 -preset veryslow -refs 1 -bf 0 -threads 1 \
  -g $rate -keyint_min $rate -sc_threshold 0 -crf 23 -maxrate 420k -bufsize 420k \
  -c:a aac -profile:a aac_low -b:a 64k -ac 2 -ar 48000 \
  -fflags +bitexact -flags:v +bitexact -flags:a +bitexact "$work/rounds.mp4"

ffmpeg -v error -y -i "$work/rounds.mp4" -ss $round -t $round -map 0:v -map 0:a -c copy -output_ts_offset -$round \
  -fflags +bitexact -flvflags no_duration_filesize+no_sequence_end "$work/demo.flv"
mv "$work/demo.flv" demo.flv
ls -l demo.flv
