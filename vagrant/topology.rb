# frozen_string_literal: true

# Reads the hosts of an inventory file, as far as test machines need them: name, address, roles, the
# product's version, and the variables `vagrant_memory` (MiB) and `vagrant_cpus`. Everything else is
# for apim-deploy; secrets (`!vault`, `!env`, `!file`) are not read, and `apim-deploy validate` reports
# errors of the inventory.

require 'date'
require 'ipaddr'
require 'yaml'

# One machine to create.
Machine = Struct.new(:name, :address, :groups, :memory, :cpus, :version, keyword_init: true)

# An error in an inventory, as a message for the user.
class TopologyError < StandardError; end

# The machines of one inventory file.
class Topology
  DEFAULT_MEMORY_MIB = 2560
  DEFAULT_CPUS = 2
  RANGE = /\A(?<before>.*?)\[(?<first>\d+|[a-zA-Z]):(?<last>\d+|[a-zA-Z])(?::(?<step>\d+))?\](?<after>.*)\z/

  # The order in which machines are created and started one by one: dependencies first.
  ORDER = %w[database control_plane all_in_one traffic_manager key_manager gateway].freeze

  attr_reader :machines

  def initialize(path)
    @path = path
    @groups = Hash.new { |all, name| all[name] = { vars: {}, hosts: {}, children: [] } }
    document.each { |name, body| collect(name.to_s, body) }
    @groups['all'][:children] |= @groups.keys - ['all'] - @groups.values.flat_map { |group| group[:children] }
    @machines = hosts.filter_map { |name| machine(name) }.sort_by.with_index do |machine, at|
      [ORDER.index { |group| machine.groups.include?(group) } || ORDER.length, at]
    end
    raise TopologyError, "#{@path}: no hosts" if @machines.empty?

    refuse_shared_addresses
  end

  # The network that the machines are on, such as `192.168.56.0/24`.
  def subnet
    networks = machines.map { |machine| "#{IPAddr.new("#{machine.address}/24")}/24" }.uniq
    return networks.first if networks.one?

    raise TopologyError, "#{@path}: the machines must be in one /24 network, found #{networks.join(', ')}"
  end

  private

  def document
    raise TopologyError, "#{@path}: no such inventory" unless File.file?(@path)

    read = YAML.safe_load(File.read(@path), permitted_classes: [Symbol, Date, Time], aliases: true)
    return read if read.is_a?(Hash) && read.values.all? { |body| body.nil? || body.is_a?(Hash) }

    raise TopologyError, "#{@path}: not an inventory: expected a map of groups, such as `all: {children: {…}}`"
  rescue Psych::Exception => e
    raise TopologyError, "#{@path}: #{e.message}"
  end

  def collect(name, body)
    group = @groups[name]
    body ||= {}
    group[:vars] = deep(group[:vars], body['vars'])
    map(body['hosts'], name).each do |pattern, vars|
      expand(pattern.to_s).each { |host| group[:hosts][host] = deep(group[:hosts][host] || {}, vars) }
    end
    map(body['children'], name).each do |child, inner|
      group[:children] |= [child.to_s]
      collect(child.to_s, inner)
    end
  end

  # The hosts of a group may also be a list of names.
  def map(value, group)
    case value
    when nil then {}
    when Hash then value
    when Array then value.to_h { |name| [name, nil] }
    when String then { value => nil }
    else raise TopologyError, "#{@path}: hosts and children of `#{group}` must be a map"
    end
  end

  # `gw[01:03].example` is three names; `[a:c]` and a step also work.
  def expand(pattern)
    match = pattern.match(RANGE)
    return [pattern] unless match

    range = (match[:first]..match[:last])
    width = match[:first].length
    range = (match[:first].to_i..match[:last].to_i) if match[:first].match?(/\d/)
    names = range.step((match[:step] || 1).to_i).to_a
    raise TopologyError, "#{@path}: the range in `#{pattern}` is empty" if names.empty?

    names.flat_map { |part| expand("#{match[:before]}#{part.to_s.rjust(width, '0')}#{match[:after]}") }
  end

  def hosts
    order = []
    walk = lambda do |name, seen|
      raise TopologyError, "#{@path}: group `#{name}` contains itself" if seen.include?(name)

      order.concat(@groups[name][:hosts].keys)
      @groups[name][:children].each { |child| walk.call(child, seen + [name]) }
    end
    walk.call('all', [])
    order.uniq
  end

  # The groups of the host, outermost first: variables of inner groups take precedence.
  def groups_of(host)
    depths = {}
    walk = lambda do |name, depth|
      group = @groups[name]
      contains = group[:children].map { |child| walk.call(child, depth + 1) }.any? || group[:hosts].key?(host)
      depths[name] = [depths[name] || 0, depth].max if contains
      contains
    end
    walk.call('all', 0)
    depths.sort_by { |name, depth| [depth, name] }.map(&:first)
  end

  def machine(name)
    groups = groups_of(name)
    layers = groups.map { |group| @groups[group][:vars] } + groups.map { |group| @groups[group][:hosts][name] }
    vars = layers.reduce({}) { |under, over| deep(under, over) }
    return if vars['ansible_connection'].to_s == 'local'

    Machine.new(name: name, address: address(name, vars['ansible_host'].to_s), groups: groups,
                memory: number(name, vars, 'vagrant_memory', DEFAULT_MEMORY_MIB),
                cpus: number(name, vars, 'vagrant_cpus', DEFAULT_CPUS),
                version: vars['apim'].is_a?(Hash) ? vars['apim']['version']&.to_s : nil)
  end

  def address(name, text)
    return text if text.match?(/\A\d+(\.\d+){3}\z/) && IPAddr.new(text)

    raise TopologyError, "#{@path}: host `#{name}` needs its own address, such as `#{name}: {ansible_host: #{free}}`"
  rescue IPAddr::Error
    raise TopologyError, "#{@path}: invalid IPv4 address `#{text}` of host `#{name}`"
  end

  # An unused address in the network of the other hosts.
  def free
    taken = @groups.values.flat_map { |group| group[:hosts].values }.filter_map { |vars| vars && vars['ansible_host'] }
    around = taken.first || '192.168.56.1'
    (11..250).map { |last| around.sub(/\d+\z/, last.to_s) }.find { |candidate| !taken.include?(candidate) }
  end

  def number(name, vars, key, default)
    value = Integer(vars.fetch(key, default).to_s)
    return value if value.positive?

    raise ArgumentError
  rescue ArgumentError
    raise TopologyError, "#{@path}: `#{key}` of host `#{name}` must be a whole number above 0, not `#{vars[key]}`"
  end

  def refuse_shared_addresses
    shared = machines.group_by(&:address).values.find { |group| group.length > 1 }
    return unless shared

    raise TopologyError, "#{@path}: #{shared.map(&:name).join(' and ')} have the same address #{shared.first.address}; " \
                         "write hosts of a range one by one, such as `#{shared.last.name}: {ansible_host: #{free}}`"
  end

  # Merges like apim-deploy merges `apim`; for other variables the depth is irrelevant here.
  def deep(under, over)
    (under || {}).merge(over || {}) do |_, old, new|
      old.is_a?(Hash) && new.is_a?(Hash) ? deep(old, new) : new
    end
  end
end
