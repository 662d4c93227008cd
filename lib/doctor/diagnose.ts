import { collectFacts, type Facts } from './facts'
import { apply, severities, type Finding } from './rule'
import { rules } from './rules'
import { bag, spec, type InputOf } from '../spec'
import { diagnosisTarget, resolveTarget } from './diagnosis-target'

export const diagnoseOptions = spec({
  /** The destination of the connections to examine. A host name is looked up. */
  target: bag(diagnosisTarget),
})

export type DiagnoseOptions = InputOf<typeof diagnoseOptions>

export interface Diagnosis {
  readonly facts: Facts
  /** The most severe findings are first. */
  readonly findings: readonly Finding[]
}

/**
 * Finds problems and possible improvements in the ports, TIME_WAIT entries and accept queues of this network
 * namespace. Changes nothing and needs no privilege. docs/doctor.md lists the rules. On systems other than Linux
 * few facts can be read, and the finding `no-kernel-facts` reports that.
 *
 * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION; the error of dns.lookup() for an unknown host, for example ENOTFOUND
 */
export async function diagnose(options: DiagnoseOptions = {}): Promise<Diagnosis> {
  const { target } = diagnoseOptions.check('options', options)
  const resolved = target === undefined ? undefined : await resolveTarget(target)
  const facts = await collectFacts(resolved)
  return { facts, findings: findingsOf(facts) }
}

/** Applies all rules to the facts. A pure function. */
export function findingsOf(facts: Facts): Finding[] {
  return rules
    .map((rule) => apply(rule, facts))
    .filter((finding) => finding !== undefined)
    .toSorted((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
}
