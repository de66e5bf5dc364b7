#!/usr/bin/env python3
"""The viewer page lives in the C file, one string literal a line; this takes it out for lint and browser work, and back.

usage: page.py extract FILE.c               print the page
       page.py fold    FILE.c PAGE.html     write the page back into the C file
       page.py check   FILE.c               out and back again is byte-identical, and the page's scripts parse

In the C file:
    static const char *const page_html[] = {
        "<!doctype html>\\n",
        NULL,
    };
The page needs no escapes: it holds no double quote, no backslash and no `??` (a trigraph).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

OPEN, CLOSE = 'static const char *const page_html[] = {', ['    NULL,', '};']
LITERAL = re.compile(r'    "([^"\\]*)\\n",$')
FORBIDDEN = re.compile(r'["\\]|\?\?|[\x00-\x08\x0b-\x1f\x7f]')
SCRIPT = re.compile(r'<script\b([^>]*)>(.*?)</script\s*>', re.S | re.I)
LONGEST = 4000  # bytes; C99 promises 4095 characters in a literal


class Bad(Exception):
    pass


def read(path):
    try:
        with open(path, encoding='utf-8', newline='') as f:
            return f.read()
    except (OSError, UnicodeDecodeError) as e:
        raise Bad('%s: %s' % (path, e))


def bounds(path, lines):
    """The first line inside the array, and the line of its NULL (counted from 0)."""
    if lines.count(OPEN) != 1:
        raise Bad('%s: holds `%s` %d times, not once' % (path, OPEN, lines.count(OPEN)))
    first = lines.index(OPEN) + 1
    for end in range(first, len(lines)):
        if lines[end:end + 2] == CLOSE:
            return first, end
        if lines[end] == '};':
            break
    raise Bad('%s:%d: the page does not end with `%s` and `%s`' % (path, first, *CLOSE))


def page_lines(path, text, origin=0):
    """The lines of a page, refused when C would need escapes for them."""
    for n, line in enumerate(text, origin + 1):
        bad = FORBIDDEN.search(line)
        if bad:
            raise Bad('%s:%d: the page holds %r' % (path, n, bad.group()))
        if len(line.encode()) > LONGEST:
            raise Bad('%s:%d: longer than %d bytes' % (path, n, LONGEST))
    return text


def extract(path, source):
    lines = source.split('\n')
    first, end = bounds(path, lines)
    out = []
    for n in range(first, end):
        m = LITERAL.match(lines[n])
        if not m:
            raise Bad('%s:%d: not of the form `    "...\\n",` without quote or backslash' % (path, n + 1))
        out.append(m.group(1))
    return ''.join(line + '\n' for line in page_lines(path, out, first))


def fold(path, source, page_path, page):
    if not page.endswith('\n'):
        raise Bad('%s: the last line has no end of line' % page_path)
    lines = source.split('\n')
    first, end = bounds(path, lines)
    lines[first:end] = ['    "%s\\n",' % line for line in page_lines(page_path, page.split('\n')[:-1])]
    return '\n'.join(lines)


def check_scripts(path, page, origin):
    """Parse each inline script with node; blank lines in front keep the C file's line numbers."""
    count = 0
    for m in SCRIPT.finditer(page):
        attributes, code = m.groups()
        if re.search(r'\bsrc\s*=|\btype\s*=\s*.?application/', attributes):
            continue
        count += 1
        with tempfile.TemporaryDirectory() as folder:
            script = os.path.join(folder, 'page.mjs' if 'module' in attributes else 'page.js')
            with open(script, 'w', encoding='utf-8') as f:
                f.write('\n' * (origin + page.count('\n', 0, m.start(2))) + code)
            run = subprocess.run(['node', '--check', script], stderr=subprocess.PIPE, encoding='utf-8')
        if run.returncode:
            raise Bad(run.stderr.replace(script, path).split('\n    at ')[0].strip())
    return count


def check(path, source):
    page = extract(path, source)
    if not page:
        raise Bad('%s: the page is empty' % path)
    if fold(path, source, path, page) != source:
        raise Bad('%s: out and back again changes the file' % path)
    words = 'scripts not parsed, no node'
    if shutil.which('node'):
        words = '%d script(s) parse' % check_scripts(path, page, bounds(path, source.split('\n'))[0])
    return 'page: %d lines, %d bytes, %s' % (page.count('\n'), len(page.encode()), words)


def main(argv):
    if (argv[:1], len(argv)) not in [(['extract'], 2), (['fold'], 3), (['check'], 2)]:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    path = argv[1]
    try:
        source = read(path)
        if argv[0] == 'extract':
            sys.stdout.buffer.write(extract(path, source).encode())
        elif argv[0] == 'check':
            print(check(path, source))
        else:
            folded = fold(path, source, argv[2], read(argv[2]))
            if folded != source:
                with open(path, 'w', encoding='utf-8', newline='') as f:
                    f.write(folded)
    except Bad as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
