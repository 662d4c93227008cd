import { lookOf } from '../../lib/cli/top/screen'

function terminal(columns: number): NodeJS.WriteStream {
  return { isTTY: true, columns } as unknown as NodeJS.WriteStream
}

describe('what a terminal can show', () => {
  it.each<[NodeJS.ProcessEnv, boolean]>([
    [{ LANG: 'en_US.UTF-8' }, true],
    [{ LANG: 'C' }, false],
    [{}, false],
    [{ LC_ALL: 'C', LANG: 'en_US.UTF-8' }, false],
    [{ LC_CTYPE: 'C.utf8', LANG: 'C' }, true],
    // An empty one counts as none.
    [{ LC_ALL: '', LC_CTYPE: '', LANG: 'en_US.UTF-8' }, true],
    [{ LC_ALL: '', LC_CTYPE: 'C', LANG: 'en_US.UTF-8' }, false],
  ])('with %j more than ASCII: %j', (environment, unicode) => {
    expect(lookOf(terminal(80), environment).unicode).toBe(unicode)
  })

  it.each<[NodeJS.ProcessEnv, boolean]>([
    [{ TERM: 'xterm' }, true],
    [{ TERM: 'xterm', NO_COLOR: '' }, true],
    [{ TERM: 'xterm', NO_COLOR: '1' }, false],
    [{ TERM: 'dumb' }, false],
  ])('with %j colour: %j', (environment, colour) => {
    expect(lookOf(terminal(80), environment).colour).toBe(colour)
  })

  it('has the columns of the terminal, 120 where it does not say, and no limit in a file', () => {
    expect(lookOf(terminal(1), {}).width).toBe(1)
    expect(lookOf(terminal(0), {}).width).toBe(120)
    const file = { isTTY: false } as unknown as NodeJS.WriteStream
    expect(lookOf(file, { TERM: 'xterm' })).toMatchObject({ width: Infinity, colour: false })
  })
})
