/** The entry `socket-tuner/doctor`: finds problems in the settings and sockets of this network namespace. */
export { diagnose, type DiagnoseOptions, type Diagnosis } from './diagnose'
export type { Facts } from './facts'
export type { Finding, Severity, SysctlSetting } from './rule'
export type { DiagnosisTarget } from './diagnosis-target'
