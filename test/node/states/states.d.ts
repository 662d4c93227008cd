/** What a test has to know of a state. */
export interface State {
  readonly kind: 'socket' | 'server' | 'session' | 'other' | 'exchange'
  /** What getOption() gives: 'value' or the code of an error; undefined where releases of Node differ. */
  readonly gives: string | undefined
  /** How answerEarly() ends there, or the code of its error; undefined where that varies. */
  readonly ends?: string
  /** How many descriptors Node leaves open. */
  readonly leaves?: number
  /** What it takes beside a process of its own. */
  readonly needs?: 'cluster' | 'receiver'
}

export const states: Readonly<Record<string, State>>
