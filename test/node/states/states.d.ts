/** What a test has to know of a state. */
export interface State {
  readonly kind: 'socket' | 'server' | 'session' | 'other'
  /** What getOption() gives: 'value' or the code of an error; undefined where releases of Node differ. */
  readonly gives: string | undefined
  /** What it takes beside a process of its own. */
  readonly needs?: 'cluster' | 'receiver'
}

export const states: Readonly<Record<string, State>>
