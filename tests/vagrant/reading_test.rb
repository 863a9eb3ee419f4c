# frozen_string_literal: true

# Tests of the files that the Vagrantfile reads: machines from an inventory, and the folder of the zips. Plain Ruby.

require 'fileutils'
require 'tmpdir'
require_relative '../../vagrant/distributions'
require_relative '../../vagrant/topology'

$failures = 0
def check(what, expected, found)
  return if expected == found

  $failures += 1
  warn "#{what}\n  expected #{expected.inspect}\n  found    #{found.inspect}"
end

def machines(text)
  Dir.mktmpdir do |folder|
    path = File.join(folder, 'hosts.yaml')
    File.write(path, text)
    topology = Topology.new(path)
    topology.subnet
    topology.machines.map(&:to_h)
  rescue TopologyError => e
    e.message.sub("#{folder}/", '')
  end
end

# Dependencies come first, groups are nested, inner variables take precedence, tags are ignored, anchors work, and local
# hosts are not machines.
found = machines(<<~YAML)
  all:
    vars: {vagrant_memory: 1000, apim: {version: 4.6.0, admin: {password: !vault "$ANSIBLE_VAULT;1.1;AES256"}}}
    hosts: {here: {ansible_connection: local}}
    children:
      gateway:
        vars: &v {vagrant_memory: 2000, secret: !env NAME, other: !file path, since: 2024-01-31}
        children:
          gateway_eu: {hosts: {gw1: {ansible_host: 192.168.56.13}}, vars: {vagrant_cpus: 1}}
      control_plane:
        hosts:
          cp1: {ansible_host: 192.168.56.15, vagrant_memory: 3000, apim: {version: 4.7.0}}
  database:
    hosts: {db: {ansible_host: 192.168.56.19}}
    vars: *v
YAML
check('machines', [
        { name: 'db', address: '192.168.56.19', groups: %w[all database], memory: 2000, cpus: 2, version: '4.6.0' },
        { name: 'cp1', address: '192.168.56.15', groups: %w[all control_plane], memory: 3000, cpus: 2, version: '4.7.0' },
        { name: 'gw1', address: '192.168.56.13', groups: %w[all gateway gateway_eu], memory: 2000, cpus: 1, version: '4.6.0' }
      ], found)

# Ranges are expanded; their hosts must not share an address.
{
  'all: {hosts: {"gw[01:03]": {ansible_host: 192.168.56.13}}}' =>
    'hosts.yaml: gw01 and gw02 and gw03 have the same address 192.168.56.13; write hosts of a range one by one, ' \
    'such as `gw03: {ansible_host: 192.168.56.11}`',
  'all: {hosts: {"gw[a:b]x": }}' =>
    'hosts.yaml: host `gwax` needs its own address, such as `gwax: {ansible_host: 192.168.56.11}`',
  'all: {hosts: {"gw[2:1]": }}' => 'hosts.yaml: the range in `gw[2:1]` is empty',
  'all: {hosts: {gw: {ansible_host: 10.0.0.300}}}' => 'hosts.yaml: invalid IPv4 address `10.0.0.300` of host `gw`',
  'all: {hosts: {gw: {ansible_host: 10.0.0.3, vagrant_memory: 2g}}}' =>
    'hosts.yaml: `vagrant_memory` of host `gw` must be a whole number above 0, not `2g`',
  'all: {hosts: {a: {ansible_host: 10.0.0.3}, b: {ansible_host: 10.0.1.3}}}' =>
    'hosts.yaml: the machines must be in one /24 network, found 10.0.0.0/24, 10.0.1.0/24',
  'all: {hosts: {a: {ansible_host: 10.0.0.3}}, children: {b: {children: {c: {children: {b: }}}}}}' =>
    'hosts.yaml: group `b` contains itself',
  'all: {hosts: }' => 'hosts.yaml: no hosts',
  '[web]' => 'hosts.yaml: not an inventory: expected a map of groups, such as `all: {children: {…}}`'
}.each { |text, message| check(text, message, machines(text)) }
check('no file', true, machines("all: {a: [}\n").start_with?('hosts.yaml: (<unknown>)'))

# The folder of the zips: an error lists the required files; it is saved once, and again only if files are missing.
Dir.mktmpdir do |folder|
  machine = lambda do |version|
    [Machine.new(name: 'gw1', address: '10.0.0.3', groups: %w[all gateway], memory: 1, cpus: 1, version: version)]
  end
  inventory = File.join(folder, 'inventory', 'hosts.yaml')
  written = File.join(folder, 'inventory', 'group_vars', 'vagrant.yaml')
  zips = File.join(folder, 'my zips')
  make = ->(version) { Distributions.new(folder, inventory, machine.call(version)) }
  outcome = lambda do |version, given, ask = nil|
    make.call(version).ready(given, build: -> { raise 'nothing to build' }, ask: ask)
    'ready'
  rescue DistributionsError => e
    e.message
  end

  message = outcome.call('4.6.0', nil)
  ['wso2am-universal-gw-4.6.0.zip', 'product-apim/releases/tag/v4.6.0', 'APIM_DIST=', 'sha256sum'].each do |part|
    check("message contains #{part}", true, message.include?(part))
  end
  check('a missing folder', true, outcome.call('4.6.0', zips).include?('my zips/SHA256SUMS: No such file'))
  FileUtils.mkdir_p(zips)
  File.write(File.join(zips, 'SHA256SUMS'), "#{'a' * 64}  wso2am-universal-gw-4.6.0.zip\n#{'b' * 64} *./mysql-connector-j-8.4.0.jar\n")
  check('a missing zip', true, outcome.call('4.6.0', zips).include?('are missing, or not in its SHA256SUMS: wso2am-universal-gw-4.6.0.zip'))
  FileUtils.touch(File.join(zips, 'wso2am-universal-gw-4.6.0.zip'))
  FileUtils.touch(File.join(zips, 'mysql-connector-j-8.4.0.jar'))
  check('folder is asked for', 'ready', outcome.call('4.6.0', nil, ->(_) { " #{zips} \n" }))
  check('folder is asked for once', 'ready', outcome.call('4.6.0', nil, ->(_) { raise 'asked again' }))
  apim = YAML.safe_load(File.read(written))['apim']
  check('source', zips, apim['distributions']['source'])
  check('digests', { 'wso2am-universal-gw-4.6.0.zip' => 'a' * 64 }, apim['distributions']['sha256'])
  check('driver', { 'source' => "#{zips}/mysql-connector-j-8.4.0.jar", 'sha256' => 'b' * 64 }, apim['databases']['driver'])
  check('no key before 4.7', nil, apim['encryption_key'])

  check('a newer version', true, outcome.call('4.7.0', nil).include?('wso2am-universal-gw-4.7.0.zip'))
  File.write(File.join(zips, 'SHA256SUMS'), "#{'c' * 64}  wso2am-universal-gw-4.7.0.zip\n", mode: 'a')
  FileUtils.touch(File.join(zips, 'wso2am-universal-gw-4.7.0.zip'))
  check('saved folder is used', 'ready', outcome.call('4.7.0', nil))
  key = YAML.safe_load(File.read(written))['apim']['encryption_key']
  check('a key from 4.7 on', true, key.match?(/\A\h{64}\z/))
  check('saved again', 'ready', outcome.call('4.7.0', zips))
  check('key is kept', key, YAML.safe_load(File.read(written))['apim']['encryption_key'])
end

exit 1 if $failures.positive?
puts 'vagrant files: all checks passed'
