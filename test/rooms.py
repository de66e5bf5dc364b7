#!/usr/bin/env python3
"""Check the house rules of a one-file C program.

A banner `/* ==== 4 stun ====...` opens each room; its card follows in the same comment. One line of the card begins
with what the room may do and lists the rooms whose functions it calls: ` * pure; uses bytes, crypt`. It relies on
clang-format: definitions begin in column one, bodies are indented.

toc      the file's first comment lists the same rooms in the same order, one ` *   4 stun  ...` line each
card     every banner is well formed and its card says pure, no I/O or world
prefix   a function is named after its room (stun_...); exceptions: main, and the public wcam_...
one way  a room calls itself and earlier rooms on its card; what the card lists is needed (types, constants count)
ahead    no function is declared in a room before the one that defines it
pure     a pure room calls no socket, file, clock or heap; a no I/O room may use the heap only
wall     socket, poll and file headers stand below the first world room's banner; after it, every room is world
"""
import re
import sys

HEAP = {'malloc', 'calloc', 'realloc', 'free', 'strdup', 'strndup'}
WORLD = HEAP | set('''socket bind listen accept accept4 connect send sendto sendmsg sendmmsg recv recvfrom recvmsg
    recvmmsg shutdown poll select epoll_wait open openat close read write pread pwrite lseek unlink rename mkdir stat
    opendir ioctl fcntl setsockopt getsockopt getaddrinfo getifaddrs fopen fread fwrite fclose fflush fgets printf
    fprintf vfprintf puts fputs perror getenv time clock clock_gettime gettimeofday usleep nanosleep sleep rand
    pthread_create signal sigaction fork exit system popen'''.split())
WORLD_HEADER = re.compile(r'(sys/(?!types\.h)|net|arpa/|linux/|(poll|fcntl|unistd|ifaddrs|dirent|pthread|signal)\.h)')
BANNER = re.compile(r'/\* ==== (\d+) (\w+) =+$')
KIND = re.compile(r'^ \* (pure|no I/O|world)(?=[;.,]| \(|\s*$)', re.M)
USES = re.compile(r'\buses\s+(\w+(?:\s*,[\s*]*\w+)*)')
QUIET = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
FUNCTION = re.compile(r'^(?:__attribute__\(\(.*?\)\)\s*)?(?!typedef|_Static_assert)[A-Za-z_][\w\s*]*?\b(\w+)'
                      r'\([^;{}]*\)\s*([{;])', re.M)
WORD = re.compile(r'(?<![.\w])(?<!->)([A-Za-z_]\w*)\s*(\(?)')
NAMES = [re.compile(p, re.M) for p in (
    r'^\s*#\s*define\s+(\w+)', r'^typedef\b[^;{]*?\b(\w+);', r'^typedef\b[^;{]*?\(\*(\w+)\)',
    r'^\}\s*(\w+);', r'\b(?:struct|union|enum)\s+(\w+)\s*\{',
    r'^(?:static|const)\b[^;(={]*?\b(\w+)(?:\[[^\]]*\])*\s*[=;]')]


class Room:
    def __init__(self, number, name, line, card):
        kind = KIND.search(card)
        uses = USES.search(card, kind.end()) if kind else None
        self.number, self.name, self.line, self.kind = number, name, line, kind and kind.group(1)
        self.uses, self.used = set(re.findall(r'\w+', uses.group(1) if uses else '')), set()


def check(path, text):
    out, rooms, lines = [], [], text.split('\n')
    for i, words in enumerate(lines):
        banner = BANNER.match(words)
        if banner:
            rooms.append(Room(*banner.groups(), i + 1, '\n'.join(lines[i:i + 60]).split('*/')[0]))
        elif words.startswith('/* ===='):
            out.append((i + 1, 'a banner is `/* ==== NUMBER NAME ====`'))
    # Comments and literals go, line numbers stay.
    code = QUIET.sub(lambda m: '\n' * m.group().count('\n') or (' ' if m.group()[0] == '/' else '0'), text)
    line_at = [n for n, words in enumerate(code.split('\n'), 1) for _ in range(len(words) + 1)] + [len(lines)]
    room_at = lambda line: next((r for r in reversed(rooms) if r.line <= line), None)
    wall = next((r.line for r in rooms if r.kind == 'world'), len(lines) + 1)
    functions, prototypes = ({m.start(1): m.group(1) for m in FUNCTION.finditer(code) if m.group(2) == end}
                             for end in '{;')
    home = {name: room_at(line_at[at]) for at, name in functions.items()}
    defined = {m.group(1): room_at(line_at[m.start()]) for p in NAMES for m in p.finditer(code)}
    for m in re.finditer(r'\benum\b\s*\w*\s*\{([^}]*)\}', code):
        defined.update({name: room_at(line_at[m.start()]) for name in re.findall(r'(?:^|,)\s*(\w+)', m.group(1))})

    if re.findall(r'^ \*   +(\d+) (\w+)\b', text.split('*/')[0], re.M) != [(r.number, r.name) for r in rooms]:
        out.append((1, 'the table of contents differs from the banners'))
    for r in rooms:
        if not r.kind:
            out.append((r.line, 'the card of %s says neither pure nor no I/O nor world' % r.name))
        elif r.line > wall and r.kind != 'world':
            out.append((r.line, 'room %s is %s but stands in the world' % (r.name, r.kind)))
    for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*<([^>]+)>', code, re.M):
        if WORLD_HEADER.match(m.group(1)) and line_at[m.end()] < wall:
            out.append((line_at[m.end()], '<%s> stands before the world begins' % m.group(1)))
    for at, name in functions.items():
        r = home[name]
        if not r:
            out.append((line_at[at], '%s stands in no room' % name))
        elif not name.startswith((r.name + '_', 'wcam_')) and name != 'main':
            out.append((line_at[at], '%s: a function of room %s begins with %s_' % (name, r.name, r.name)))
    for at, name in prototypes.items():
        if home.get(name) not in (None, room_at(line_at[at])):
            out.append((line_at[at], '%s is declared ahead of room %s' % (name, home[name].name)))
    for m in WORD.finditer(code):
        name, line, r = m.group(1), line_at[m.start()], room_at(line_at[m.start()])
        if not r or m.start() in functions or m.start() in prototypes:
            continue
        if m.group(2) and (r.kind == 'pure' and name in WORLD or r.kind == 'no I/O' and name in WORLD - HEAP):
            out.append((line, '%s room %s calls %s' % (r.kind, r.name, name)))
        target = home.get(name) or defined.get(name)
        if target and target is not r:
            r.used.add(target.name)
            if home.get(name) and target.line > r.line:
                out.append((line, 'room %s reaches up to %s' % (r.name, name)))
            elif home.get(name) and target.name not in r.uses:
                out.append((line, 'room %s does not list %s (%s)' % (r.name, target.name, name)))
    for r in rooms:
        out += [(r.line, 'room %s lists %s but does not use it' % (r.name, n)) for n in sorted(r.uses - r.used)]
    return ['%s:%d: %s' % (path, *o) for o in sorted(set(out))], '%d rooms, %d functions' % (len(rooms), len(home))


GOOD = '''/* A sample.
 *   1 base  limits
 *   2 box  a box
 *   3 key  keys
 *   4 net  sockets */
/* ==== 1 base ====
 * pure */
enum { BASE_A = 1, BASE_B };
/* ==== 2 box ====
 * pure; uses base */
static int box_put(int n) { return n + BASE_B; } // calls close(n) in words only
/* ==== 3 key ====
 * no I/O; uses box */
static void *key_new(void) { return malloc(box_put(1)); }
/* ==== 4 net ====
 * world; uses key */
#include <poll.h>
int wcam_run(void) { return poll(key_new(), 1, 0); }
'''
BAD = [  # what to replace in the good sample, by what, and the words that must then be said
    (' *   3 key', ' *   3 lock', 'table of contents'), ('=== 3 key', '=== key', 'a banner is'),
    (' * pure; uses', ' * plain; uses', 'says neither'), ('box_put', 'put', 'begins with box_'),
    ('/* ==== 1', 'int f(void) { }\n/* ==== 1', 'stands in no room'), ('{ return n ', '{ wcam_run();\n', 'reaches up'),
    ('I/O; uses box', 'I/O', 'does not list box'), ('uses key', 'uses key, base', 'lists base but'),
    ('enum', 'int key_new(int a,\n int b);\nenum', 'declared ahead'),
    ('{ return n', '{ time(0); return n', 'pure room box calls time'), ('n + BASE_B', 'free(0), BASE_A', 'calls free'),
    ('malloc(box', 'read(box', 'no I/O room key calls read'), ('enum', '#include <poll.h>\nenum', 'before the world'),
    ('no I/O; uses box', 'world; uses box */\n/* ==== 9 x ====\n * pure', 'stands in the world')]


def self_test():
    caught = lambda old, new, words: old in GOOD and words in '\n'.join(check('bad', GOOD.replace(old, new))[0])
    missed = ['not caught: %s' % bad[2] for bad in BAD if not caught(*bad)]
    return check('good', GOOD)[0] + missed, '%d kinds of violation caught' % len(BAD)


def main(argv):
    if len(argv) != 1:
        return 'usage: rooms.py FILE.c | rooms.py --self-test'
    bad, summary = self_test() if argv[0] == '--self-test' else check(argv[0], open(argv[0], encoding='utf-8').read())
    print('\n'.join(bad) or 'rooms: %s, all in order' % summary)
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
