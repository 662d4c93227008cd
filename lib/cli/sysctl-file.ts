/** The kernel settings that findings ask for, as a file for /etc/sysctl.d: sysctl.d(5). */
import type { Diagnosis, Finding } from '../doctor'
import { wrap } from './text'

/**
 * Every line but the settings is a comment. Where findings differ on one, the most severe is right. Those of
 * severity info are left out: for most hosts nothing has to be done there.
 */
export function sysctlFile({ findings, facts }: Diagnosis): string {
  const lines = [
    ...comment(
      "Settings that socket-tuner doctor asks for. Nothing has been changed: read each one, leave out what does not fit, and save the rest as /etc/sysctl.d/90-socket-tuner.conf. 'sysctl --system' or the next boot applies it.",
    ),
  ]
  if (facts.ownNamespace === true) {
    lines.push(
      ...comment(
        'They were read in a network namespace of its own: files in /etc/sysctl.d are for that of the host. Give them to the container when it is started, as docker run --sysctl NAME=VALUE.',
      ),
    )
  }
  const settled = new Set<string>()
  const needed = findings.filter(({ severity }) => severity !== 'info')
  for (const finding of needed) lines.push(...block(finding, settled))
  if (settled.size === 0) lines.push('', ...comment('Nothing has to be set.'))
  const others = findings.filter(({ set = [] }) => set.some(({ sysctl }) => !settled.has(sysctl)))
  if (others.length > 0) {
    const codes = others.map(({ code }) => code).join(', ')
    lines.push('', ...comment(`Left out, since for most hosts nothing has to be done: ${codes}.`))
  }
  return `${lines.join('\n')}\n`
}

function block({ code, severity, title, risk, set = [] }: Finding, settled: Set<string>): string[] {
  const open = set.filter(({ sysctl }) => !settled.has(sysctl))
  if (open.length === 0) return []
  for (const { sysctl } of open) settled.add(sysctl)
  return [
    '',
    ...comment(`${title} (${severity}, ${code})`),
    ...(risk === undefined ? [] : comment(`Risk: ${risk}`)),
    ...open.map(({ persistent }) => persistent),
  ]
}

function comment(text: string): string[] {
  return wrap(text, '  ').map((line) => `#${line.slice(1)}`)
}
