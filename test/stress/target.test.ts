/** Targets as a caller writes them. */
import { stressTarget } from '../../lib/stress/target'
import { coded } from '../helpers/coded'
import { listen } from '../sockets'
import * as http from 'node:http'
import { resultOf } from './servers'

const linux = process.platform === 'linux' ? it : it.skip

function parse(text: string) {
  return stressTarget.required().check('target', text)
}

describe('a target with a zone', () => {
  it.each([
    ['[fe80::1%eth0]:8080', 'tcp', 'fe80::1%eth0', 8080],
    ['[FE80:0::1%2]:8080', 'tcp', 'fe80::1%2', 8080],
    ['[fe80::1%25]:8080', 'tcp', 'fe80::1%25', 8080],
    ['[fe80::1%25eth0]:8080', 'tcp', 'fe80::1%25eth0', 8080],
    ['tcp://[fe80::1%25eth0]:8080', 'tcp', 'fe80::1%eth0', 8080],
    ['tls://[fe80::1%eth0.5]:8080', 'tls', 'fe80::1%eth0.5', 8080],
    ['http://[fe80::1%25eth0]/', 'http', 'fe80::1%eth0', 80],
    ['http://[fe80::1%252]/', 'http', 'fe80::1%2', 80],
    ['HTTPS://[fe80::1%eth0]:8443/a?b', 'https', 'fe80::1%eth0', 8443],
  ])('may be %s', (text, protocol, host, port) => {
    expect(parse(text)).toMatchObject({ url: text, protocol, host, port })
  })

  it('has no zone in the header Host, and keeps its path', () => {
    const { authority, path } = parse('http://[fe80::1%25eth0]:8080/a%25b?c=%41')
    expect({ authority, path }).toEqual({ authority: '[fe80::1]:8080', path: '/a%25b?c=%41' })
  })

  it.each([
    ['no interface', '[fe80::1%]:80', 'must name an interface after the %'],
    ['no interface in a URL', 'http://[fe80::1%25 ]:80/', 'must name an interface after the %'],
    ['no port', '[fe80::1%eth0]', 'must name a host and a port'],
    ['no address', '[%eth0]:80', 'must be http://'],
    ['an IPv4 address', 'http://1.2.3.4%25eth0/', 'must be http://'],
    ['no zone in a URL', 'http://[fe80::1%25]:80/', 'must name an interface after the %'],
    ['no brackets', 'fe80::1%eth0:80', 'write an IPv6 address in brackets: [::1]:80'],
    ['no brackets in a URL', 'http://fe80::1%25eth0:80/', 'write an IPv6 address in brackets'],
  ])('is refused with %s', (_what, text, message) => {
    const refused = coded('ERR_INVALID_ARG_VALUE')
    expect(() => parse(text)).toThrow(refused)
    expect(() => parse(text)).toThrow(message)
  })

  linux('is measured', async () => {
    const hosts = new Set<string | undefined>()
    const server = http.createServer(({ headers }, response) => {
      hosts.add(headers.host)
      response.end()
    })
    const port = String(await listen(server, '::1'))
    const target = `http://[::1%25lo]:${port}/`
    const { requests, target: info } = await resultOf({ target, amount: 5 })
    expect(requests.answered).toBe(5)
    expect(info).toMatchObject({ url: target, address: '::1%lo' })
    expect([...hosts]).toEqual([`[::1]:${port}`])
  })
})
