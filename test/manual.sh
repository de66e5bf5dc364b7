#!/bin/sh
# Makes the manual page from what `webrtc_cam --help` says, so that each option is described in one place only.
#
# usage: webrtc_cam --help | manual.sh VERSION CONFIG_FOLDER >webrtc_cam.1
awk -v version="$1" -v folder="$2" '
function text(s) {
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    gsub(/^[.\047]/, "\\\\\\&&", s)
    return s
}
function bold(s) { return "\\fB" text(s) "\\fR" }
function italic(s) { return "\\fI" text(s) "\\fR" }
NR == 1 {
    if (!/^usage: webrtc_cam /) { print "manual.sh: this is not the output of webrtc_cam --help" >"/dev/stderr"; exit 1 }
    print ".TH WEBRTC_CAM 1 \"\" \"webrtc_cam " version "\" \"User Commands\""
    print ".SH NAME\nwebrtc_cam \\- H.264 cameras in browsers, below a second"
    sub(/^usage: webrtc_cam /, "")
    print ".SH SYNOPSIS\n" bold("webrtc_cam") " " text($0)
    print ".SH DESCRIPTION"
    next
}
/^ +(-[A-Za-z], )?--[a-z]/ {
    if (!options++) print ".SH OPTIONS"
    sub(/^ +/, "")
    match($0, /^(-[A-Za-z], )?--[a-z0-9-]+( [^ ]+)?/)
    left = substr($0, 1, RLENGTH)
    right = substr($0, RLENGTH + 1)
    sub(/^ +/, "", right)
    value = ""
    if (match(left, /[^ ,] [^ ]+$/)) { value = substr(left, RSTART + 2); left = substr(left, 1, RSTART) }
    print ".TP\n" bold(left) (value == "" ? "" : " " italic(value)) "\n" text(right)
    next
}
options { sub(/^ +/, ""); if ($0 != "") print text($0); next }     # an option that needs more than a line
/^$/ { paragraph = described; next }
{ if (paragraph) print ".PP"; paragraph = 0; described = 1; print text($0) }
END {
    if (!options) exit 1
    print ".SH EXIT STATUS\n.TP\n0\nstopped by a signal\n.TP\n1\nfailed while running\n.TP\n2\nbad usage"
    print ".SH FILES\n.TP\n" italic(folder "/webrtc_cam.conf")
    print "the arguments of the systemd unit webrtc_cam.service, one a line"
    print ".SH EXAMPLES\n.nf\nwebrtc_cam cam=film.h264\nffmpeg \\-i rtsp://camera/ \\-c copy \\-f h264 \\- | webrtc_cam \\-"
    print "webrtc_cam \\-\\-listen 0.0.0.0:8080 @" text(folder "/webrtc_cam.conf") "\n.fi"
}'
