/** What the settings and the sockets of this network namespace lead to: the entry `socket-tuner/doctor`. */
export { diagnose, type DiagnoseOptions, type Diagnosis } from './diagnose'
export type { Facts } from './facts'
export type { Finding, Severity, SysctlSetting } from './rule'
export type { DiagnosisTarget } from './target'
