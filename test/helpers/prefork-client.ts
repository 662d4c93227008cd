/** What the program prefork-client saw of the servers that it asks. */
import type { Program } from './program'
import { until } from './until'

export interface ClientSeen {
  answered: number
  /** Of them, requests over a connection that had served one before. */
  onKept: number
  failed: Record<string, number>
  pids: Record<string, number>
  underWay: number
}

export async function seenBy(program: Program): Promise<ClientSeen> {
  return (await program.ask('seen')) as ClientSeen
}

/** What it saw when all that it asked is answered or failed. */
export function finished(program: Program): Promise<ClientSeen> {
  return until(
    'all requests are over',
    () => seenBy(program),
    ({ underWay }) => underWay === 0,
  )
}

export async function stopped(program: Program): Promise<ClientSeen> {
  await program.ask('stop')
  return finished(program)
}

export async function answered(program: Program, more: number): Promise<void> {
  const { answered: before } = await seenBy(program)
  await until(
    `${String(more)} more requests are answered`,
    () => seenBy(program),
    ({ answered: now, failed }) => now >= before + more || Object.keys(failed).length > 0,
  )
}
