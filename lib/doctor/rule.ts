/** The types of rules and findings. */
import type { Facts } from './facts'

/** From the most severe: docs/doctor.md explains each. */
export const severities = ['critical', 'warning', 'advice', 'info'] as const

export type Severity = (typeof severities)[number]

/** A recommended kernel setting. This library never changes one. */
export interface SysctlSetting {
  readonly sysctl: string
  readonly value: string
  /** The command that sets it until the next boot. */
  readonly runtime: string
  /** The line for a file in /etc/sysctl.d. */
  readonly persistent: string
}

/** The result of a rule that applies. */
export interface Finding {
  /** Stable: programs can rely on it. */
  readonly code: string
  readonly severity: Severity
  readonly title: string
  /** The facts that were found, with their figures. */
  readonly what: string
  /** Why it matters. */
  readonly why: string
  readonly set?: readonly SysctlSetting[]
  /** A fix that is not a kernel setting. */
  readonly remedy?: string
  /** Side effects of applying it. */
  readonly risk?: string
  /** A manual page, RFC section or kernel source file. */
  readonly source: string
}

/** The part of a finding that depends on the facts. */
export interface Found {
  readonly what: string
  readonly set?: readonly SysctlSetting[]
}

/** A row of the table: a pure function of the facts, and the texts of its finding. */
export interface Rule extends Omit<Finding, 'what' | 'set'> {
  /** The condition in words, for the documentation. */
  readonly when: string
  /** The settings that it may recommend. */
  readonly sets?: readonly string[]
  readonly find: (facts: Facts) => Found | undefined
}

export function setting(sysctl: string, value: string | number): SysctlSetting {
  const text = String(value)
  const quoted = /^[\w.,-]*$/.test(text) ? text : `"${text}"`
  return {
    sysctl,
    value: text,
    runtime: `sysctl -w ${sysctl}=${quoted}`,
    persistent: `${sysctl} = ${text}`,
  }
}

/** A number as people read it: 28,232. */
export function shown(value: number): string {
  return value.toLocaleString('en-US')
}

export function apply(rule: Rule, facts: Facts): Finding | undefined {
  const found = rule.find(facts)
  if (found === undefined) return undefined
  const { code, severity, title, why, remedy, risk, source } = rule
  return {
    code,
    severity,
    title,
    what: found.what,
    why,
    ...(found.set === undefined ? {} : { set: found.set }),
    ...(remedy === undefined ? {} : { remedy }),
    ...(risk === undefined ? {} : { risk }),
    source,
  }
}
