/** The kernel settings that findings recommend, as a file for /etc/sysctl.d: sysctl.d(5). */
import type { Diagnosis, Finding } from '../doctor'
import { wrap } from './text'

/**
 * Returns the text of the file, in which all lines but the settings are comments. If findings recommend different values
 * of a setting, it has that of the most severe one. Settings of severity info are left out: most hosts do not need them.
 */
export function sysctlFile({ findings, facts }: Diagnosis): string {
  const lines = [
    ...comment(
      "Settings that socket-tuner doctor recommends. Nothing was changed. Read each one, delete those that do not fit, and save the rest as /etc/sysctl.d/90-socket-tuner.conf. 'sysctl --system' or the next boot applies them.",
    ),
  ]
  if (facts.ownNamespace === true) {
    lines.push(
      ...comment(
        'They are for a network namespace of a container, which the files in /etc/sysctl.d of the host do not change. Pass them to the container when it starts: docker run --sysctl NAME=VALUE.',
      ),
    )
  }
  const settled = new Set<string>()
  const needed = findings.filter(({ severity }) => severity !== 'info')
  for (const finding of needed) lines.push(...block(finding, settled))
  if (settled.size === 0) lines.push('', ...comment('No setting is needed.'))
  const others = findings.filter(({ set = [] }) => set.some(({ sysctl }) => !settled.has(sysctl)))
  if (others.length > 0) {
    const codes = others.map(({ code }) => code).join(', ')
    lines.push('', ...comment(`Left out, since most hosts do not need them: ${codes}.`))
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
