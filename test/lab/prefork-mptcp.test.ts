/** Workers of prefork() with MPTCP. */
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'

interface Answer {
  pid: number
  slot: number
  isMptcp: boolean
}

interface Seen {
  answers: Answer[]
  warnings: string[]
}

const host = '127.0.0.1'
const CONNECTIONS = 40
const UNAVAILABLE = 'SOCKET_TUNER_MPTCP_UNAVAILABLE'

labDescribe('prefork() with mptcp: true', ['root', 'ip', 'mptcp'], () => {
  const namespace = useNamespace()

  async function group(enabled: '0' | '1'): Promise<{ server: Program; port: number }> {
    namespace().sysctl('net.mptcp.enabled', enabled)
    const config = { host, workers: 2, kind: 'net', mptcp: true }
    return namespace().serve('prefork-server', config)
  }

  it('accepts MPTCP in each worker, replacements included', async () => {
    const { server, port } = await group('1')
    const before = await ask(namespace(), port, true)
    expect(await server.ask('restart')).toBe('done')
    const after = await ask(namespace(), port, true)
    const answers = [...before.answers, ...after.answers]
    expect(new Set(answers.map(({ isMptcp }) => isMptcp))).toEqual(new Set([true]))
    expect(new Set(before.answers.map(({ slot }) => slot)).size).toBe(2)
    expect(new Set(answers.map(({ pid }) => pid)).size).toBe(4)
    expect(await server.ask('warnings')).toEqual([])
  })

  it('serves clients without MPTCP', async () => {
    const { port } = await group('1')
    const { answers } = await ask(namespace(), port, false)
    expect(answers).toHaveLength(CONNECTIONS)
  })

  it('uses TCP, and warns, if net.mptcp.enabled is 0', async () => {
    const { server, port } = await group('0')
    expect(await server.ask('warnings')).toEqual([UNAVAILABLE])
    // The client's own warning is the same.
    namespace().sysctl('net.mptcp.enabled', '1')
    const { answers, warnings } = await ask(namespace(), port, true)
    expect(new Set(answers.map(({ isMptcp }) => isMptcp))).toEqual(new Set([false]))
    expect(warnings).toEqual([])
  })
})

async function ask(namespace: Namespace, port: number, mptcp: boolean): Promise<Seen> {
  const config = { host, port, mptcp, connections: CONNECTIONS }
  return (await namespace.perform('mptcp-client', config)) as Seen
}
