/** `socket-tuner doctor`: prints the findings of diagnose(). */
import { diagnose, type Diagnosis, type Facts, type Finding, type SysctlSetting } from '../doctor'
import { severities } from '../doctor/rule'
import type { DoctorArguments, FailOn } from './arguments'
import { sysctlFile } from './sysctl-file'
import { count, counted, wrap } from './text'

/** The exit code for a finding that --fail-on names. */
const FOUND = 3

/**
 * Returns the exit code.
 *
 * @throws (as a rejection) what diagnose() throws, for example ENOTFOUND for an unknown host; with --fail-on, an Error
 *   if the facts behind the rules cannot be read, since the absence of a finding proves nothing then
 */
export async function runDoctor(options: DoctorArguments): Promise<number> {
  const { json, target, printSysctl, failOn } = options
  const diagnosis = await diagnose({ target })
  // Set before the output is written: its reader may have closed the pipe.
  const code = doctorExitCode(diagnosis, failOn)
  process.exitCode = code
  process.stdout.write(printed(diagnosis, json, printSysctl))
  const unknown = failOn === undefined ? [] : unknownOf(diagnosis.facts)
  if (unknown.length > 0)
    throw new Error(
      `--fail-on cannot judge: ${unknown.join(', ')} cannot be read here. Run it on Linux with /proc mounted and NETLINK_SOCK_DIAG allowed`,
    )
  return code
}

/** @returns 3 on a finding of this severity or a higher one, otherwise 0 */
export function doctorExitCode({ findings }: Diagnosis, failOn: FailOn | undefined): number {
  if (failOn === undefined) return 0
  const most = severities.indexOf(failOn)
  return findings.some(({ severity }) => severities.indexOf(severity) <= most) ? FOUND : 0
}

/** The facts that rules of every severity need and that could not be read. */
function unknownOf({ sysctls, destinations, counters }: Facts): string[] {
  const parts = { settings: sysctls, connections: destinations, counters }
  return Object.entries(parts).flatMap(([name, facts]) => (facts === undefined ? [name] : []))
}

function printed(diagnosis: Diagnosis, json: boolean, printSysctl: boolean): string {
  if (printSysctl) return sysctlFile(diagnosis)
  return json ? `${JSON.stringify(diagnosis, null, 2)}\n` : report(diagnosis)
}

/** The findings in full, as text. */
export function report({ facts, findings }: Diagnosis): string {
  const lines = [...wrap(place(facts), ''), ...wrap(load(facts), ''), '']
  for (const finding of findings) lines.push(...findingLines(finding), '')
  lines.push(
    findings.length === 0
      ? 'No findings.'
      : `${counted(findings.length, 'finding')}. Nothing was changed. --print-sysctl prints the settings as a file.`,
  )
  return `${lines.join('\n')}\n`
}

function place({ kernelRelease, platform, container, ownNamespace, target }: Facts): string {
  const parts = [`${platform} ${kernelRelease}`]
  if (container !== undefined) parts.push(`in a container (${container})`)
  if (ownNamespace === true) parts.push('in a network namespace of its own')
  if (target !== undefined) {
    const kind = target.loopback ? 'loopback' : 'not loopback'
    parts.push(`for connections to ${target.host} port ${String(target.port)} (${kind})`)
  }
  return `${parts.join(', ')}.`
}

function load({ portRange, sockets, listeners }: Facts): string {
  const parts: string[] = []
  if (portRange !== undefined) {
    parts.push(`ephemeral ports ${String(portRange.min)} to ${String(portRange.max)}`)
  }
  if (sockets?.timeWait !== undefined) parts.push(`${count(sockets.timeWait)} in TIME_WAIT`)
  if (listeners !== undefined) {
    const sum = listeners.reduce((before, { sockets: each }) => before + each, 0)
    parts.push(counted(sum, 'listening socket'))
  }
  return parts.length === 0
    ? 'The figures of the kernel cannot be read here.'
    : `${parts.join('; ')}.`
}

function findingLines({
  code,
  severity,
  title,
  what,
  why,
  set = [],
  remedy,
  risk,
  source,
}: Finding): string[] {
  const parts: [string, string | undefined][] = [
    ['found', what],
    ['why', why],
    ...set.flatMap(settingLines),
    ['fix', remedy],
    ['risk', risk],
    ['source', source],
  ]
  return [
    ...wrap(`${title} (${code})`, `${severity.toUpperCase()}  `),
    ...parts.flatMap(([label, text]) =>
      text === undefined ? [] : wrap(text, `  ${label.padEnd(8)}  `),
    ),
  ]
}

function settingLines({ runtime, persistent }: SysctlSetting): [string, string][] {
  return [
    ['set now', runtime],
    ['persist', `in /etc/sysctl.d/90-socket-tuner.conf: ${persistent}`],
  ]
}
