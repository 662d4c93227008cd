import type { Rule } from './rule'
import { listenRules } from './rules/listen'
import { portRules } from './rules/ports'
import { systemRules } from './rules/system'
import { timeWaitRules } from './rules/time-wait'

/**
 * Every rule of the doctor. docs/doctor.md is generated from this table. A test requires, for each rule, facts
 * to which it applies and facts to which it does not.
 */
export const rules: readonly Rule[] = [
  ...portRules,
  ...timeWaitRules,
  ...listenRules,
  ...systemRules,
]
