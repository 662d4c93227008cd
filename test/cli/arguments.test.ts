import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { print, run } from './run-cli'

describe('socket-tuner', () => {
  it.each([
    [['--version'], 0, /^\d+\.\d+\.\d+\n$/, /^$/],
    [['help', 'top'], 0, /^Usage: socket-tuner top [^]*\.\n$/, /^$/],
    [['options', 'SO_LINGER'], 0, /^SO_LINGER [^]*\n$/, /^$/],
    [['options', 'TCP_NO_SUCH'], 2, /^$/, /^socket-tuner: [^]*\.\n$/],
    [[], 2, /^$/, /^socket-tuner: [^]*\.\n$/],
  ])('with %j exits with code %i after it has written everything', async (args, code, out, err) => {
    const ended = await run(...args)
    expect(ended).toMatchObject({ code, signal: null })
    expect(ended.stdout).toMatch(out)
    expect(ended.stderr).toMatch(err)
    expect(await print(...args)).toEqual(ended)
  })

  it.each([
    [[], 'ERR_MISSING_ARGS'],
    [['destroy'], 'ERR_INVALID_ARG_VALUE'],
    [['toString'], 'ERR_INVALID_ARG_VALUE'],
    [['--colour'], 'ERR_PARSE_ARGS_UNKNOWN_OPTION'],
    [['demo', '--colour'], 'ERR_PARSE_ARGS_UNKNOWN_OPTION'],
    [['demo', '--json=yes'], 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE'],
    [['demo', 'fin'], 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL'],
    [['demo', '--connections'], 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE'],
    [['demo', '--connections', 'many'], 'ERR_INVALID_ARG_TYPE'],
    [['demo', '--connections', ''], 'ERR_INVALID_ARG_TYPE'],
    [['demo', '--connections', '1e3'], 'ERR_INVALID_ARG_TYPE'],
    [['demo', '--connections', '12.5'], 'ERR_INVALID_ARG_TYPE'],
    [['demo', '--connections', '9'], 'ERR_OUT_OF_RANGE'],
    [['demo', '--connections=-100'], 'ERR_OUT_OF_RANGE'],
    [['demo', '--connections', '100001'], 'ERR_OUT_OF_RANGE'],
    [['demo', '--connections', '99999999999999999999'], 'ERR_OUT_OF_RANGE'],
    [['demo', '--seconds', '0'], 'ERR_OUT_OF_RANGE'],
    [['demo', '--seconds', '16'], 'ERR_OUT_OF_RANGE'],
    [['demo', '--seconds', '0x5'], 'ERR_INVALID_ARG_TYPE'],
    [['doctor', 'localhost:80'], 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL'],
    [['doctor', '--seconds', '5'], 'ERR_PARSE_ARGS_UNKNOWN_OPTION'],
    [['doctor', '--json', '--print-sysctl'], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--fail-on'], 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE'],
    [['doctor', '--fail-on', 'Critical'], 'ERR_INVALID_ARG_VALUE'],
    [['top', '--fail-on', 'critical'], 'ERR_PARSE_ARGS_UNKNOWN_OPTION'],
    [['help', 'doctor', 'top'], 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL'],
    [['doctor', '--target'], 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE'],
    [['doctor', '--target', ''], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--target', 'localhost'], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--target', ':80'], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--target', 'localhost:http'], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--target', 'http://localhost:80'], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--target', '::1:80'], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--target', '[::1]'], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--target', '[localhost]:80'], 'ERR_INVALID_ARG_VALUE'],
    [['doctor', '--target', 'localhost:0'], 'ERR_OUT_OF_RANGE'],
    [['doctor', '--target', '[::1]:65536'], 'ERR_OUT_OF_RANGE'],
    [['demo', '--target', 'localhost:80'], 'ERR_PARSE_ARGS_UNKNOWN_OPTION'],
    [['options', '--seconds', '5'], 'ERR_PARSE_ARGS_UNKNOWN_OPTION'],
    [['options', 'TCP_NODELAY', 'SO_LINGER'], 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL'],
    [['options', 'TCP_NO_SUCH'], 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
  ])('with %j exits with code 2 and writes %s to standard error', async (args, code) => {
    const ended = await print(...args)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr).toMatch(/^socket-tuner: /)
    expect(ended.stderr).toContain(`(${code})`)
  })

  it.each([
    [['docter'], "'docter' is not a command; did you mean 'doctor'?"],
    [['destroy'], "'destroy' is not a command; use one of demo, options, doctor, top"],
    [['help', 'tpo'], "'tpo' is not a command; did you mean 'top'?"],
    [['doctor', '--taget', 'a:1'], "'doctor' has no option --taget; did you mean --target?"],
    [
      ['doctor', '--printsysctl'],
      "'doctor' has no option --printsysctl; did you mean --print-sysctl?",
    ],
    [['top', '--onec'], "'top' has no option --onec; did you mean --once?"],
    [['--verison'], 'socket-tuner has no option --verison; did you mean --version?'],
    [
      ['demo', '--target', 'a:1'],
      "'demo' has no option --target; its options are --json, --connections",
    ],
    [['top', '-x'], "'top' has no option -x; its options are --json, --target, --interval, --once"],
    [['options', 'TCP_NODLAY'], 'did you mean TCP_NODELAY?'],
    [
      ['doctor', '--fail-on', 'info'],
      "--fail-on must be one of: critical, warning, advice. Received 'info'",
    ],
    [[], 'A command is missing: use one of demo, options, doctor, top'],
  ])('refuses %j, and suggests the nearest name or all names', async (args, text) => {
    const ended = await print(...args)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr).toContain(text)
    expect(ended.stderr).toContain("See 'socket-tuner help'.")
  })

  it.each([[['--help']], [['-h']], [['help']]])('with %j prints every command', async (args) => {
    const { code, stdout, stderr } = await print(...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: socket-tuner <command>/)
    for (const part of [
      'demo',
      'options [NAME]',
      'doctor',
      'top',
      'stress [TARGET]',
      'help [COMMAND]',
      'Exit codes',
    ])
      expect(stdout).toContain(part)
  })

  it.each([
    ['doctor', '--fail-on'],
    ['top', '--interval'],
    ['demo', '--connections'],
    ['options', 'NAME'],
    ['stress', '--fail-if'],
  ])('prints only the help of %s for --help, -h and help', async (name, part) => {
    const all = [await print(name, '--help'), await print(name, '-h'), await print('help', name)]
    const [{ stdout } = { stdout: '' }] = all
    for (const each of all) expect(each).toMatchObject({ code: 0, stdout, stderr: '' })
    expect(stdout).toMatch(new RegExp(`^Usage: socket-tuner ${name} `))
    expect(stdout).toContain(part)
    for (const other of ['demo', 'options', 'doctor', 'top', 'stress'].filter(
      (each) => each !== name,
    ))
      expect(stdout).not.toMatch(new RegExp(`^  ${other} `, 'm'))
  })

  it.each(['--version', '-v'])('with %s prints the version of the package', async (flag) => {
    const file = readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')
    const { version } = JSON.parse(file) as { version: string }
    expect(await print(flag)).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})
