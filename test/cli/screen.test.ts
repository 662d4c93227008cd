import { WriteStream } from 'node:tty'
import { lookOf } from '../../lib/cli/look'
import { isInBackground } from '../../lib/cli/screen'

/** Returns a WriteStream without a terminal, whose colours depend only on the environment. */
function terminal(columns: number): WriteStream {
  return Object.assign(Object.create(WriteStream.prototype) as WriteStream, { columns })
}

describe('lookOf()', () => {
  it.each<[NodeJS.ProcessEnv, boolean]>([
    [{ LANG: 'en_US.UTF-8' }, true],
    [{ LANG: 'C' }, false],
    [{}, false],
    [{ LC_ALL: 'C', LANG: 'en_US.UTF-8' }, false],
    [{ LC_CTYPE: 'C.utf8', LANG: 'C' }, true],
    // An empty variable counts as unset.
    [{ LC_ALL: '', LC_CTYPE: '', LANG: 'en_US.UTF-8' }, true],
    [{ LC_ALL: '', LC_CTYPE: 'C', LANG: 'en_US.UTF-8' }, false],
  ])('with %j reports %j for characters beyond ASCII', (environment, unicode) => {
    expect(lookOf(terminal(80), environment).unicode).toBe(unicode)
  })

  it.each<[NodeJS.ProcessEnv, boolean]>([
    [{ TERM: 'xterm' }, true],
    [{ TERM: 'xterm', NO_COLOR: '' }, true],
    [{ TERM: 'xterm', NO_COLOR: '1' }, false],
    [{ TERM: 'dumb' }, false],
  ])('with %j reports %j for colours', (environment, colour) => {
    expect(lookOf(terminal(80), environment).colour).toBe(colour)
  })

  it('reports the columns of the terminal, 120 if they are unknown, and no limit for a file', () => {
    expect(lookOf(terminal(1), {}).width).toBe(1)
    expect(lookOf(terminal(0), {}).width).toBe(120)
    const file = { isTTY: false } as unknown as NodeJS.WriteStream
    expect(lookOf(file, { TERM: 'xterm' })).toMatchObject({ width: Infinity, colour: false })
  })
})

describe('isInBackground()', () => {
  it.each([
    // pid, name, state, parent, process group, session, terminal, foreground process group.
    ['the foreground is its own', '77 (node) R 1 77 70 34816 77 4194304', false],
    ['the foreground is that of another group', '77 (node) R 1 77 70 34816 70 4194304', true],
    ['its name looks like fields', '77 (a) R 1 5 70) R 1 77 70 34816 77 4194304', false],
    ['it has no terminal', '77 (node) R 1 77 77 0 -1 4194304', false],
    ['the foreground is in another PID namespace', '77 (node) R 1 77 0 34816 0 4194304', false],
    ['there is no /proc', '', false],
  ])('reports of a process that %s', (_what, stat, expected) => {
    expect(isInBackground(() => stat)).toBe(expected)
  })
})
