/** What a rule is, and what it gives. */
import type { Facts } from './facts'

/** Connections fail or soon will; data or service is in danger; something is better set; good to know. */
export const severities = ['critical', 'warning', 'advice', 'info'] as const

export type Severity = (typeof severities)[number]

/** A kernel setting that would help; nothing here ever sets one. */
export interface SysctlSetting {
  readonly sysctl: string
  readonly value: string
  /** The command that sets it until the next boot. */
  readonly runtime: string
  /** The line for a file in /etc/sysctl.d. */
  readonly persistent: string
}

/** What a rule says of these facts. */
export interface Finding {
  /** Stable, for programs. */
  readonly code: string
  readonly severity: Severity
  readonly title: string
  /** What was found, with its figures. */
  readonly what: string
  /** Why it matters. */
  readonly why: string
  readonly set?: readonly SysctlSetting[]
  /** What helps and is no kernel setting. */
  readonly remedy?: string
  /** What setting it may do beside. */
  readonly risk?: string
  /** Manual page, RFC section or file of the kernel. */
  readonly source: string
}

/** The part of a finding that depends on the facts. */
export interface Found {
  readonly what: string
  readonly set?: readonly SysctlSetting[]
}

/** A row of the table: a pure function of facts, and what is to be said where it finds something. */
export interface Rule extends Omit<Finding, 'what' | 'set'> {
  /** The condition in words, for the documentation. */
  readonly when: string
  /** The settings that it may ask for. */
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
