#!/usr/bin/env python3
"""make install into a temporary DESTDIR (with a blank in its name), a caller built by pkg-config against what is there,
the manual page, the systemd unit, make uninstall."""
import os, re, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = '/opt/cam'
counts = {'ok': 0, 'not ok': 0, 'skip': 0}
CALLER = r'''#include <webrtc_cam.h>
#include <stdio.h>
int main(void) {
    struct wcam_config config = {.listen = "127.0.0.1:0"};
    wcam *w;
    int bad = wcam_create(&config, &w) || wcam_add(w, "cam", "test:", 0) < 0 || wcam_service(w, 0) < 0;
    printf("%s %s\n", WCAM_VERSION, bad ? wcam_why(w) : "serves");
    wcam_destroy(w);
    return bad;
}
'''


class Skip(Exception):
    pass


def test(name, body):
    word, why = 'ok', ''
    try:
        body()
    except Exception as problem:
        word, why = 'skip' if isinstance(problem, Skip) else 'not ok', f': {problem or type(problem).__name__}'
    counts[word] += 1
    print(f'{word} - {name}{why}', flush=True)


def check(truth, words):
    if not truth:
        raise RuntimeError(words)


def run(*command, cwd=ROOT, env=None):
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})})
    check(not done.returncode, f'status {done.returncode}: {done.stderr.strip()[:2000]}')
    return done.stdout


def need(tool):
    if not shutil.which(tool):
        raise Skip(f'{tool} is not installed')


def make(*arguments):
    return run('make', '--no-print-directory', *arguments, f'DESTDIR={dest}', f'PREFIX={PREFIX}', env={'MAKEFLAGS': ''})


def at(path):
    return dest / path.lstrip('/')


def files():
    return {'/' + str(p.relative_to(dest)) for p in dest.rglob('*') if not p.is_dir()}


def pkg_config(folder, *arguments):
    return run('pkg-config', f'--define-variable=prefix={folder}', *arguments, 'webrtc_cam',
               env={'PKG_CONFIG_PATH': str(folder / 'lib/pkgconfig')}).strip().replace('\\ ', ' ')


def installs():
    make('install')
    version = re.search(r'WCAM_VERSION "(.*)"', (ROOT / 'webrtc_cam.h').read_text()).group(1)
    library = PREFIX + '/lib/libwebrtc_cam.so'
    want = {PREFIX + '/' + name for name in (
        'bin/webrtc_cam', 'include/webrtc_cam.h', 'lib/libwebrtc_cam.a', 'lib/pkgconfig/webrtc_cam.pc',
        'share/man/man1/webrtc_cam.1', 'lib/systemd/system/webrtc_cam.service')}
    want |= {library, f'{library}.{version.split(".")[0]}', f'{library}.{version}', '/etc/webrtc_cam.conf'}
    check(files() == want, f'differs in {sorted(files() ^ want)}')
    check(at(library).resolve() == at(f'{library}.{version}').resolve(), 'the links do not lead to the library')
    soname = re.search(r'soname: \[(.*)\]', run('readelf', '-d', str(at(library)))).group(1)
    check(f'{PREFIX}/lib/{soname}' in want, f'soname {soname}')
    check(at('/etc/webrtc_cam.conf').stat().st_mode & 0o777 == 0o600, 'others may read the configuration')
    check(run(str(at(PREFIX + '/bin/webrtc_cam')), '--version').strip() == 'webrtc_cam ' + version, 'another version')
    check(run('pkg-config', '--modversion', 'webrtc_cam', env={'PKG_CONFIG_PATH': str(at(PREFIX + '/lib/pkgconfig'))}).strip()
          == version, 'pkg-config tells another version')


def keeps_configuration():
    conf = at('/etc/webrtc_cam.conf')
    conf.write_text('--open\n')
    make('install')
    check(conf.read_text() == '--open\n', 'overwritten')


def symbols():
    names = run('nm', '-D', '--defined-only', str(at(PREFIX + '/lib/libwebrtc_cam.so')))
    names = {line.split()[-1].split('@')[0] for line in names.splitlines()}
    declared = set(re.findall(r'^\w[\w *]*?\b(wcam_\w+)\(', (ROOT / 'webrtc_cam.h').read_text(), re.M))
    check(names == declared, f'exported and declared differ in {sorted(names ^ declared)}')
    names = run('nm', '-g', '--defined-only', str(at(PREFIX + '/lib/libwebrtc_cam.a'))).splitlines()
    names = {line.split()[-1] for line in names if len(line.split()) == 3}
    check(names == declared, f'the static library: {sorted(names ^ declared)}')


def caller(folder, *static):
    source, program = tmp / 'caller.c', tmp / 'caller'
    source.write_text(CALLER)
    flags = pkg_config(folder, '--cflags', '--libs', *static)
    arguments = [word.replace('\0', ' ') for word in flags.replace(str(folder), str(folder).replace(' ', '\0')).split()]
    run('cc', '-std=c99', '-Wall', '-Werror', str(source), '-o', str(program), *arguments)
    said = run(str(program), env={'LD_LIBRARY_PATH': '' if static else str(folder / 'lib')})
    check(said.strip().endswith('serves'), said)
    return run('readelf', '-d', str(program)), flags


def shared():
    needed, flags = caller(at(PREFIX))
    check('libwebrtc_cam.so.' in needed, 'it does not use the shared library')
    check('-lmbedtls' not in flags, f'libraries that its users need not name: {flags}')


def static():
    folder = tmp / 'static'
    shutil.copytree(at(PREFIX), folder)
    for library in (folder / 'lib').glob('*.so*'):
        library.unlink()
    needed, _ = caller(folder, '--static')
    check('libwebrtc_cam' not in needed, 'it uses the shared library')


def manual():
    page = at(PREFIX + '/share/man/man1/webrtc_cam.1')
    told = run(str(ROOT / 'webrtc_cam'), '--help')
    options = re.findall(r'^ +(?:(-\w), )?(--[\w-]+)(?: (\S+))?  +(.*)$', told, re.M)
    lines = [line for line in told.splitlines() if re.match(r' +(-\w, )?--', line)]
    check(len(options) == len(lines) > 5, f'{len(options)} options in {len(lines)} lines of --help')
    text = re.sub(r'\\f[BIR]|\\&', '', page.read_text()).replace('\\-', '-').replace('\\e', '\\')
    for letter, name, value, words in options:
        entry = '.TP\n' + (letter + ', ' if letter else '') + name + (' ' + value if value else '') + '\n' + words + '\n'
        check(entry in text, f'{name} is missing or differs')


def manual_lint():
    page = str(at(PREFIX + '/share/man/man1/webrtc_cam.1'))
    need('mandoc')
    said = subprocess.run(['mandoc', '-Tlint', '-W', 'warning', page], capture_output=True, text=True).stdout
    said = [line for line in said.splitlines() if 'missing date' not in line]  # the same source gives the same page
    check(not said, said)


def manual_groff():
    need('groff')
    done = subprocess.run(['groff', '-man', '-ww', '-Tutf8', '-Z', str(at(PREFIX + '/share/man/man1/webrtc_cam.1'))],
                          capture_output=True, text=True)
    check(not done.returncode and not done.stderr, done.stderr)


def unit():
    path = at(PREFIX + '/lib/systemd/system/webrtc_cam.service')
    text = path.read_text()
    check('/usr/local' not in text, 'it names the default folders')
    check(f'ExecStart={PREFIX}/bin/webrtc_cam @' in text, 'it starts another program')
    need('systemd-analyze')
    check_root = tmp / 'root'  # its verify wants the program, and the system's own units, below one root
    for folder in '/usr/lib/systemd/system', '/lib/systemd/system':
        if Path(folder).is_dir():
            shutil.copytree(folder, check_root / folder.lstrip('/'), dirs_exist_ok=True, symlinks=True,
                            ignore=shutil.ignore_patterns('*.wants', 'dbus-*'))
    shutil.copytree(at(PREFIX), check_root / PREFIX.lstrip('/'), symlinks=True)
    shutil.copy(path, check_root / 'usr/lib/systemd/system')
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', f'--root={check_root}', path.name],
                          capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if 'webrtc_cam' in line]
    check(not said, said)
    done = subprocess.run(['systemd-analyze', 'security', '--offline=true', '--no-pager', str(path)],
                          capture_output=True, text=True)
    score = re.search(r'exposure level for \S+: ([\d.]+)', done.stdout)
    if score:
        print('# systemd: exposure', score.group(1))
        check(float(score.group(1)) < 2, f'exposure {score.group(1)}, expected below 2')


def configuration():
    """The installed example, as it is, and with every line that is commented out."""
    example = (ROOT / 'examples/webrtc_cam.conf').read_text()
    for text in example, re.sub(r'^#(?=\S)', '', example, flags=re.M):
        conf = tmp / 'arguments'
        conf.write_text(re.sub(r'(?m)^(\w+)=/var/\S+$', r'\1=test:320x240', text) + '\n--listen 127.0.0.1:0\n')
        with subprocess.Popen([str(ROOT / 'webrtc_cam'), f'@{conf}'], stderr=subprocess.PIPE, text=True) as program:
            line = program.stderr.readline()
            program.kill()
        check('open http' in line, line)


def uninstalls():
    make('uninstall')
    check(files() == {'/etc/webrtc_cam.conf'}, f'left: {sorted(files())}')


with tempfile.TemporaryDirectory(prefix='wcam install ') as folder:
    tmp = Path(folder)
    dest = tmp / 'dest'
    for name, body in (
            ('make install: these files and no others', installs),
            ('an existing configuration file is kept', keeps_configuration),
            ('the libraries show what the header declares, nothing else', symbols),
            ('a caller by pkg-config, shared', shared),
            ('a caller by pkg-config --static', static),
            ('the manual page has every option of --help', manual),
            ('the manual page: mandoc finds nothing', manual_lint),
            ('the manual page: groff finds nothing', manual_groff),
            ('the systemd unit', unit),
            ('the example configuration is valid', configuration),
            ('make uninstall leaves the configuration file only', uninstalls)):
        test(name, body)
print(f"{counts['ok']} passed, {counts['not ok']} failed" + (f", {counts['skip']} skipped" if counts['skip'] else ''))
sys.exit(counts['not ok'] > 0)
