# Writes a file or folder of this machine to stdout. winrmcopy.go describes the lines.
# Comments and indentation are removed before it is sent. It must begin with "begin", because PowerShell passes stdin to its process block, line by line.
# For Windows PowerShell 5.1. Nothing may reach the output but what is meant to.
begin {
    $ProgressPreference = 'SilentlyContinue'
    $ErrorActionPreference = 'Stop'
    $utf8 = New-Object Text.UTF8Encoding $false, $true
    $sha = New-Object Security.Cryptography.SHA256CryptoServiceProvider
    # [Console]::Out would pass long lines on in pieces of 256 characters.
    $out = [Console]::OpenStandardOutput()
    # In base64 and UTF-16 it stays below 85,000 bytes: .NET seldom frees larger objects, and the memory of a remote shell is limited.
    $buffer = New-Object byte[] 30720

    function Put($bytes) { $out.Write($bytes, 0, $bytes.Length) }
    function Send($text) {
        $bytes = [Text.Encoding]::ASCII.GetBytes($text + "`n")
        [void]$sha.TransformBlock($bytes, 0, $bytes.Length, $bytes, 0)
        Put $bytes
    }
    function Encode($name) { [Convert]::ToBase64String($utf8.GetBytes($name)) }
    function SendFile($path, $name) {
        $file = [IO.File]::Open($path, 'Open', 'Read', [IO.FileShare]'ReadWrite, Delete')
        try {
            Send "file $(Encode $name) $($file.Length)"
            while (($n = $file.Read($buffer, 0, $buffer.Length)) -gt 0) { Send ('data ' + [Convert]::ToBase64String($buffer, 0, $n)) }
        } finally { $file.Dispose() }
    }
    # What is a symlink or a junction is not followed: it could lead anywhere, also back.
    function SendFolder($path, $name) {
        Send "folder $(Encode $name)"
        foreach ($e in (New-Object IO.DirectoryInfo $path).GetFileSystemInfos()) {
            $below = "${name}/$($e.Name)"
            if ($e.Attributes -band [IO.FileAttributes]::ReparsePoint) { throw "$($e.FullName) is a symlink or another reparse point, which cannot be copied over WinRM" }
            elseif ($e -is [IO.DirectoryInfo]) { SendFolder $e.FullName $below }
            else { SendFile $e.FullName $below }
        }
    }
    function SendAll($source) {
        $path = [IO.Path]::GetFullPath([IO.Path]::Combine([string]$env:USERPROFILE, $utf8.GetString([Convert]::FromBase64String($source))))
        if ([IO.Directory]::Exists($path)) { SendFolder $path '.' }
        elseif ([IO.File]::Exists($path)) { SendFile $path '.' }
        else { throw "${path}: no such file or folder" }
        [void]$sha.TransformFinalBlock([byte[]]@(), 0, 0)
        Put ([Text.Encoding]::ASCII.GetBytes('end ' + [BitConverter]::ToString($sha.Hash).Replace('-', '') + "`n"))
    }
}
process {
    $line = [string]$_
    try { SendAll $line } catch { [Console]::Error.WriteLine($_.Exception.GetBaseException().Message); exit 1 }
}
end {
    exit 0
}
