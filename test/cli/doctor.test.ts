import { diagnose, type Diagnosis, type Finding, type Severity } from '../../lib/doctor'
import type { FailOn } from '../../lib/cli/arguments'
import { doctorExitCode, report } from '../../lib/cli/doctor-command'
import { sysctlFile } from '../../lib/cli/sysctl-file'
import { rules } from '../../lib/doctor/rules'
import { UNKNOWN_HOST } from '../helpers/unknown-host'
import { run } from './run-cli'
import { FOREIGN } from '../helpers/foreign-address'

async function diagnosis(...args: string[]): Promise<Diagnosis> {
  const { code, stdout, stderr } = await run('doctor', '--json', ...args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as Diagnosis
}

/** Returns lines of more than 100 columns that could have been wrapped. */
const tooLong = (text: string): string[] =>
  text.split('\n').filter((line) => line.length > 100 && line.trim().includes('  '))

/** Returns the names of the settings in a file for sysctl.d(5). */
function namesIn(file: string): string[] {
  const lines = file.split('\n').filter((line) => line !== '' && !line.startsWith('# '))
  for (const line of lines) expect(line).toMatch(/^net\.[\w.]+ = [\w ,-]+$/)
  return lines.map((line) => line.split(' = ')[0] ?? '')
}

/** Replaces line breaks by spaces. */
const words = (text: string): string => text.replace(/\s+/g, ' ')

describe('socket-tuner doctor', () => {
  it('prints facts and findings as JSON', async () => {
    const { facts, findings } = await diagnosis()
    expect(facts.platform).toBe(process.platform)
    const codes = rules.map(({ code }) => code)
    for (const { code } of findings) expect(codes).toContain(code)
  })

  it('prints each finding in full, and wraps lines at 100 columns if possible', async () => {
    const { code, stdout, stderr } = await run('doctor')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/\. Nothing was changed\. |^No findings\.$/m)
    expect(tooLong(stdout)).toEqual([])
    // Two diagnoses may differ on a busy machine, so this diagnosis is printed once more.
    const diagnosed = await diagnose()
    const printed = report(diagnosed)
    const text = words(printed)
    for (const finding of diagnosed.findings) {
      const { title, what, why, set = [], remedy = '', risk = '', source, severity } = finding
      expect(text).toContain(`${severity.toUpperCase()} ${title} (${finding.code})`)
      for (const part of [what, why, remedy, risk, source]) expect(text).toContain(words(part))
      for (const { runtime, persistent } of set) {
        expect(text).toContain(runtime)
        expect(text).toContain(persistent)
      }
    }
    expect(tooLong(printed)).toEqual([])
  })

  it('examines the target, which may be an IPv6 address in brackets', async () => {
    const target = { host: '::1', port: 80, addresses: ['::1'], loopback: true }
    expect((await diagnosis('--target', '[::1]:80')).facts.target).toEqual(target)
    const { stdout } = await run('doctor', '--target', `${FOREIGN}:443`)
    expect(words(stdout)).toContain(`for connections to ${FOREIGN} port 443 (not loopback)`)
  })

  it('prints a file for sysctl.d with each setting once and everything else in comments', async () => {
    const { code, stdout, stderr } = await run('doctor', '--print-sysctl')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const diagnosed = await diagnose()
    const names = namesIn(sysctlFile(diagnosed))
    for (const each of [names, namesIn(stdout)]) expect(new Set(each).size).toBe(each.length)
    const needed = diagnosed.findings.filter(({ severity }) => severity !== 'info')
    const asked = needed.flatMap(({ set = [] }) => set.map(({ sysctl }) => sysctl))
    expect(new Set(names)).toEqual(new Set(asked))
  })

  it('fails for an unknown host', async () => {
    const ended = await run('doctor', '--target', `${UNKNOWN_HOST}:80`)
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    const [first, ...more] = ended.stderr.split('\n')
    expect(first).toBe(`socket-tuner: getaddrinfo ENOTFOUND ${UNKNOWN_HOST}`)
    expect(more).toEqual([expect.stringContaining('IP address'), ''])
  })

  it.each<[FailOn | undefined, readonly Severity[], number]>([
    [undefined, ['critical', 'warning', 'advice', 'info'], 0],
    ['critical', ['critical', 'info'], 3],
    ['critical', ['warning', 'advice', 'info'], 0],
    ['warning', ['critical'], 3],
    ['warning', ['warning'], 3],
    ['warning', ['advice', 'info'], 0],
    ['advice', ['advice'], 3],
    ['advice', ['info'], 0],
    ['advice', [], 0],
  ])('with --fail-on %s and findings of severity %j, exits with %d', (failOn, found, code) => {
    const findings = found.map((severity) => ({ severity }) as Finding)
    expect(doctorExitCode({ findings } as unknown as Diagnosis, failOn)).toBe(code)
  })
})
