import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

interface Seen {
  echo: string
  protocols: { server: number; client: number }
  warnings: string[]
}

const TCP = 6
const MPTCP = 262

labDescribe('mptcp: true', ['root', 'ip', 'mptcp'], () => {
  const namespace = useNamespace()

  it.each([
    ['uses MPTCP with net.mptcp.enabled at 1', '1', MPTCP, []],
    ['uses TCP, and warns once, at 0', '0', TCP, ['SOCKET_TUNER_MPTCP_UNAVAILABLE']],
  ])('%s', async (_, enabled, protocol, warnings) => {
    namespace().sysctl('net.mptcp.enabled', enabled)
    const seen = (await namespace().perform('mptcp', {})) as Seen
    expect(seen).toEqual({
      echo: 'hello',
      protocols: { server: protocol, client: protocol },
      warnings,
    } satisfies Seen)
  })
})
