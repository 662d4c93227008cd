import { afterAllClosed, askAndWaitForEnd } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const REQUESTS = 1_000

labDescribe('a worker of node:cluster', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it("refuses options on its server, and leaves no TIME_WAIT with close: 'deliver'", async () => {
    const { program, ready } = await namespace().start('cluster-server')
    const { port, refusals } = ready as { port: number; refusals: Record<string, string> }
    expect(refusals).toEqual({
      setOption: 'ERR_SOCKET_TUNER_SHARED_HANDLE',
      tuneServer: 'ERR_SOCKET_TUNER_SHARED_HANDLE',
    })
    await askAndWaitForEnd(namespace(), { port, requests: REQUESTS })
    const { connections, counters } = await afterAllClosed(program)
    expect(connections).toBe(REQUESTS)
    expect(counters).toMatchObject({ closes: { deliver: REQUESTS }, fallbacks: {} })
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })
})
