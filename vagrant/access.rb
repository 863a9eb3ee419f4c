# frozen_string_literal: true

# Writes the ssh configuration of running machines, which the inventory refers to: `.ssh/config` and
# `.ssh/known_hosts` in this folder. Users, ports and keys come from `vagrant ssh-config`; host keys are
# read from each machine over Vagrant's own connection.

require 'fileutils'

# The files under `.ssh`.
class Access
  KINDS = %w[ed25519 ecdsa rsa].freeze

  # The block runs a local program and returns whether it succeeded.
  def initialize(folder, &run)
    @folder = folder
    @machines = File.join(folder, 'machines')
    @run = run
  end

  # The login key of containers; other machines get one from Vagrant.
  def login_key
    path = File.join(@folder, 'id_ed25519')
    locked do
      unless File.file?(path)
        @run.call('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'apim-deploy vagrant', '-f', path) or
          raise "ssh-keygen failed to create #{path}"
      end
    end
    path
  end

  # Adds a running machine. `names` are its name and address in the inventory.
  def note(machine, names)
    info = machine.ssh_info or raise "#{machine.name}: Vagrant has no ssh configuration for it"
    keys = host_keys(machine)
    locked do
      File.write(File.join(@machines, "#{machine.name}.config"), config(machine, names, info))
      File.write(File.join(@machines, "#{machine.name}.known"), keys.map { |key| "#{machine.name} #{key}\n" }.join)
      join
    end
  end

  # Removes a destroyed machine.
  def forget(name)
    locked do
      FileUtils.rm_f(%w[config known].map { |ending| File.join(@machines, "#{name}.#{ending}") })
      join
    end
  end

  private

  def host_keys(machine)
    text = +''
    command = KINDS.map { |kind| "/etc/ssh/ssh_host_#{kind}_key.pub" }.join(' ')
    machine.communicate.execute("cat #{command} 2>/dev/null || true") { |type, data| text << data if type == :stdout }
    keys = text.lines.map { |line| line.split.first(2) }.select { |kind, key| kind =~ /\A(ssh|ecdsa)-/ && key =~ %r{\A[\w+/=]+\z} }
    raise "#{machine.name}: no host keys under /etc/ssh" if keys.empty?

    keys.map { |key| key.join(' ') }
  end

  def config(machine, names, info)
    lines = ["Host #{names.join(' ')}", "  HostName #{info[:host]}", "  Port #{info[:port]}", "  User #{info[:username]}",
             "  HostKeyAlias #{machine.name}"]
    lines += Array(info[:private_key_path]).map { |path| "  IdentityFile \"#{path}\"" }
    "#{lines.join("\n")}\n"
  end

  def join
    configs, known = %w[config known].map { |ending| Dir[File.join(@machines, "*.#{ending}")].sort.map { |path| File.read(path) }.join("\n") }
    all_hosts = <<~CONFIG

      Host *
        IdentitiesOnly yes
        UserKnownHostsFile "#{File.join(@folder, 'known_hosts')}"
        GlobalKnownHostsFile /dev/null
        StrictHostKeyChecking yes
    CONFIG
    replace('known_hosts', known.gsub(/^\n/, ''))
    replace('config', "# Written by `vagrant up`: ssh configuration of its machines. Use: ssh -F this-file NAME\n#{configs}#{all_hosts}")
  end

  # Atomic: readers get the old text or the new one.
  def replace(name, text)
    path = File.join(@folder, name)
    File.write("#{path}.new", text, perm: 0o600)
    File.rename("#{path}.new", path)
  end

  # Machines start in parallel.
  def locked
    FileUtils.mkdir_p(@machines, mode: 0o700)
    File.open(File.join(@folder, 'lock'), File::RDWR | File::CREAT, 0o600) do |lock|
      lock.flock(File::LOCK_EX)
      yield
    end
  end
end
