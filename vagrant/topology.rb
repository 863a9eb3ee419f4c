# frozen_string_literal: true

# Reads the hosts of an inventory file, as far as virtual machines need them: name, address, groups, and the variables that begin with
# `vagrant_`. Everything else in the file is apim-deploy's business; secrets (`!vault`, `!env`, `!file`) stay unread.

require 'yaml'

# One machine to make.
Machine = Struct.new(:name, :address, :groups, :memory, :cpus, keyword_init: true)

# The machines of one inventory file.
class Topology
  DEFAULT_MEMORY_MIB = 3072
  DEFAULT_CPUS = 2

  attr_reader :machines

  def initialize(path)
    abort "#{path}: no such inventory" unless File.file?(path)
    document = YAML.safe_load(File.read(path), permitted_classes: [Symbol], aliases: true)
    abort "#{path}: not an inventory: no `all`" unless document.is_a?(Hash) && document['all'].is_a?(Hash)
    @path = path
    @found = {}
    walk('all', document['all'], {}, [])
    @machines = @found.map { |name, host| machine(name, host) }
    abort "#{path}: no hosts" if @machines.empty?
  end

  private

  def walk(name, group, vars, groups)
    return unless group.is_a?(Hash)

    vars = vars.merge(group['vars'] || {})
    groups += [name]
    (group['hosts'] || {}).each do |pattern, own|
      expand(pattern.to_s).each do |host|
        entry = (@found[host] ||= { vars: {}, groups: [], own: {} })
        entry[:vars] = entry[:vars].merge(vars)
        entry[:groups] |= groups
        entry[:own].merge!(own || {})
      end
    end
    (group['children'] || {}).each { |child, body| walk(child, body || {}, vars, groups) }
  end

  # `gw[01:03].example` is three names.
  def expand(pattern)
    match = pattern.match(/\A(.*?)\[(\d+):(\d+)\](.*)\z/)
    return [pattern] unless match

    before, first, last, after = match.captures
    (first.to_i..last.to_i).flat_map { |n| expand("#{before}#{n.to_s.rjust(first.length, '0')}#{after}") }
  end

  def machine(name, host)
    vars = host[:vars].merge(host[:own])
    address = vars['ansible_host'].to_s
    unless address.match?(/\A\d+\.\d+\.\d+\.\d+\z/)
      abort "#{@path}: host #{name} needs `ansible_host: <IPv4 address>` for Vagrant (VirtualBox allows 192.168.56.0/21)"
    end
    Machine.new(name: name, address: address, groups: host[:groups],
                memory: Integer(vars.fetch('vagrant_memory', DEFAULT_MEMORY_MIB)),
                cpus: Integer(vars.fetch('vagrant_cpus', DEFAULT_CPUS)))
  end
end
