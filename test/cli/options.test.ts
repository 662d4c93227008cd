import { describeOption, optionNames, type OptionInfo } from '../../lib'
import { print } from './run-cli'

/** Returns the members of an option that are printed. Only the generated tests use the others. */
function printed(info: OptionInfo): unknown {
  return JSON.parse(JSON.stringify({ ...info, example: undefined, roundTrip: undefined }))
}

describe('socket-tuner options', () => {
  it('lists each option on one line of at most 100 columns', async () => {
    const { code, stdout, stderr } = await print('options')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.split('\n')
    for (const name of optionNames) {
      const own = lines.filter((line) => new RegExp(`^  \\(?${name}\\)? `).test(line))
      expect(own).toHaveLength(1)
    }
    expect(lines.filter((line) => line.length > 100)).toEqual([])
    expect(stdout).toContain(`${String(optionNames.length)} options.`)
  })

  it('marks the options that this platform lacks', async () => {
    const { stdout } = await print('options')
    for (const name of optionNames) {
      const absent = describeOption(name).number === undefined
      expect(stdout.includes(`(${name})`)).toBe(absent)
    }
  })

  it('prints the catalogue as JSON', async () => {
    const { code, stdout } = await print('options', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual(optionNames.map((name) => printed(describeOption(name))))
  })

  it('describes one option in full', async () => {
    const { code, stdout } = await print('options', 'SO_LINGER')
    const { summary, hazard = '', source } = describeOption('SO_LINGER')
    expect(code).toBe(0)
    const text = stdout.replace(/\s+/g, ' ')
    for (const part of ['SO_LINGER (SOL_SOCKET', summary, hazard, source]) {
      expect(text).toContain(part)
    }
  })

  it('accepts a name in lower case, and prints JSON', async () => {
    const { code, stdout } = await print('options', 'tcp_nodelay', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual(printed(describeOption('TCP_NODELAY')))
  })

  it('reports why an option is not offered', async () => {
    const name = optionNames.find((each) => describeOption(each).access === 'none')
    if (name === undefined) return
    const { stdout } = await print('options', name)
    expect(stdout.replace(/\s+/g, ' ')).toContain(`none: ${describeOption(name).because ?? ''}`)
  })
})
