/** The properties of a state that tests use. */
export interface State {
  readonly kind: 'socket' | 'server' | 'session' | 'other' | 'exchange'
  /** The outcome of getOption(): 'value' or the code of an error; undefined if releases of Node differ. */
  readonly gives: string | undefined
  /** How answerEarly() ends, or the code of its error; undefined if that varies. */
  readonly ends?: string
  /** The number of descriptors that Node leaves open. */
  readonly leaves?: number
  /** A prerequisite beside a process of its own. */
  readonly needs?: 'cluster' | 'receiver'
}

export const states: Readonly<Record<string, State>>
