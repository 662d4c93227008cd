/** `socket-tuner doctor`: what the library's diagnose() finds, for people. */
import { diagnose, type Diagnosis, type Facts, type Finding, type SysctlSetting } from '../doctor'
import { severities } from '../doctor/rule'
import type { DoctorArguments, FailOn } from './arguments'
import { sysctlFile } from './sysctl-file'
import { count, counted, wrap } from './text'

/** A finding that --fail-on asks for. */
const FOUND = 3

/**
 * Returns the exit code.
 *
 * @throws what diagnose() throws, as for a host that is not known; with --fail-on an error where what the
 *   rules go by cannot be read, since nothing found means nothing there
 */
export async function runDoctor(options: DoctorArguments): Promise<number> {
  const { json, target, printSysctl, failOn } = options
  const diagnosis = await diagnose({ target })
  // Set before the output, whose reader may be gone.
  const code = exitCodeOf(diagnosis, failOn)
  process.exitCode = code
  process.stdout.write(printed(diagnosis, json, printSysctl))
  const unknown = failOn === undefined ? [] : unknownOf(diagnosis.facts)
  if (unknown.length > 0)
    throw new Error(
      `--fail-on cannot judge what is not known here: ${unknown.join(', ')}. Run it on Linux with /proc mounted and NETLINK_SOCK_DIAG allowed`,
    )
  return code
}

/** @returns 3 when there is a finding of this severity or above */
export function exitCodeOf({ findings }: Diagnosis, failOn: FailOn | undefined): number {
  if (failOn === undefined) return 0
  const most = severities.indexOf(failOn)
  return findings.some(({ severity }) => severities.indexOf(severity) <= most) ? FOUND : 0
}

/** What rules of every severity rest on. */
function unknownOf({ sysctls, destinations, counters }: Facts): string[] {
  const parts = { settings: sysctls, connections: destinations, counters }
  return Object.entries(parts).flatMap(([name, facts]) => (facts === undefined ? [name] : []))
}

function printed(diagnosis: Diagnosis, json: boolean, printSysctl: boolean): string {
  if (printSysctl) return sysctlFile(diagnosis)
  return json ? `${JSON.stringify(diagnosis, null, 2)}\n` : report(diagnosis)
}

/** For people: all of each finding. */
export function report({ facts, findings }: Diagnosis): string {
  const lines = [...wrap(place(facts), ''), ...wrap(load(facts), ''), '']
  for (const finding of findings) lines.push(...told(finding), '')
  lines.push(
    findings.length === 0
      ? 'Nothing to say: no rule found anything.'
      : `${counted(findings.length, 'finding')}. Nothing has been changed. --print-sysctl prints the settings as a file.`,
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
  return parts.length === 0 ? 'No figures of the kernel can be read here.' : `${parts.join('; ')}.`
}

function told({
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
    ['matters', why],
    ...set.flatMap(settingLines),
    ['do', remedy],
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
    ['keep', `in /etc/sysctl.d/90-socket-tuner.conf: ${persistent}`],
  ]
}
