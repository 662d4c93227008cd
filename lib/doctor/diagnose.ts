import { collectFacts, type Facts } from './facts'
import { apply, severities, type Finding } from './rule'
import { rules } from './rules'
import { bag, spec, type InputOf } from '../spec'
import { diagnosisTarget, resolveTarget } from './target'

export const diagnoseOptions = spec({
  /** The destination that connections are made to: it is looked up, and judged by its ports. */
  target: bag(diagnosisTarget),
})

export type DiagnoseOptions = InputOf<typeof diagnoseOptions>

export interface Diagnosis {
  readonly facts: Facts
  /** The most severe first. */
  readonly findings: readonly Finding[]
}

/**
 * Looks for what is wrong, or could be better, with ports, TIME_WAIT and listening queues in this
 * network namespace. Reads only, and needs no privilege. docs/doctor.md lists the rules. On other systems
 * than Linux few facts are known; `no-kernel-facts` says so.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; what dns.lookup() gives for a host that is not known, as ENOTFOUND
 */
export async function diagnose(options: DiagnoseOptions = {}): Promise<Diagnosis> {
  const { target } = diagnoseOptions.check('options', options)
  const resolved = target === undefined ? undefined : await resolveTarget(target)
  const facts = await collectFacts(resolved)
  return { facts, findings: findingsOf(facts) }
}

/** What the rules say of these facts; a pure function. */
export function findingsOf(facts: Facts): Finding[] {
  return rules
    .map((rule) => apply(rule, facts))
    .filter((finding) => finding !== undefined)
    .toSorted((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
}
