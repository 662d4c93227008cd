import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run-cli'

describe('socket-tuner', () => {
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
  ])('%j exits with 2 and %s on standard error', async (args, code) => {
    const ended = await run(...args)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr).toMatch(/^socket-tuner: /)
    expect(ended.stderr).toContain(`(${code})`)
  })

  it.each(['--help', '-h'])('%s prints every command', async (flag) => {
    const { code, stdout, stderr } = await run(flag)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: socket-tuner <command>/)
    expect(stdout).toContain('demo')
    expect(stdout).toContain('options [NAME]')
    expect(stdout).toContain('doctor')
  })

  it('prints help for a command too', async () => {
    expect((await run('demo', '--help')).stdout).toBe((await run('--help')).stdout)
  })

  it.each(['--version', '-v'])('%s prints the version of the package', async (flag) => {
    const file = readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')
    const { version } = JSON.parse(file) as { version: string }
    expect(await run(flag)).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})
